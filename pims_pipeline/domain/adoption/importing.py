"""What a v4.0 case becomes here, and which of several for one appointment is linked.

Pure. What people set is kept: status, type, visibility, and the keys of metadata that the v4.0
service did not write. What its known faults left behind is recognized, and counted as a
``ImportFinding``: see docs/adopting.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pims_pipeline.domain.adoption.consultations import carried_consultation
from pims_pipeline.domain.adoption.v4 import V4Case, V4Patient
from pims_pipeline.domain.clinics import business_date, local_to_utc
from pims_pipeline.domain.records.words import CaseStatus, CaseType, status_of

APPOINTMENT_KEY = "pimsAppointment"
CONSULTATION_KEY = "pimsConsultation"
RECONCILIATION_KEY = "reconciliation"
SERVICE_KEYS = frozenset({APPOINTMENT_KEY, CONSULTATION_KEY, RECONCILIATION_KEY})
"""The keys of their ``metadata`` that the v4.0 service writes."""
LEFT_OUT_KEYS = frozenset({*SERVICE_KEYS, "appointment", "consultation"})
"""The keys of their ``metadata`` that are not copied: the service's, and those that are ours."""

FACT_PLACES: Mapping[str, tuple[str, ...]] = {
    "status": ("status",),
    "type": ("appointmentType", "type"),
    "provider": ("provider", "providerName"),
    "room": ("room", "roomName"),
    "reason": ("reason",),
}
"""By our word for it: where ``pimsAppointment`` may have it."""


class ImportFinding(StrEnum):
    """Something about an imported case that an operator may want to know.

    Attributes:
        RETIRED: The v4.0 service retired it, perhaps wrongly; a listing with its appointment
            restores it.
        WITHOUT_TIME: It has no time there; the time at which it was made is used until the
            first sync.
        WITHOUT_WORDS: The vendor's words are not kept there: an update replaced its metadata.
        CONSULTATION: Its consultation was carried over.
        CONSULTATION_LEFT_OUT: Its consultation is not whole, and is fetched by the next sync.
        OTHER_STATUS: Its status is not one of ours; the case is imported as a draft.
    """

    RETIRED = "retired"
    WITHOUT_TIME = "without_time"
    WITHOUT_WORDS = "without_words"
    CONSULTATION = "consultation"
    CONSULTATION_LEFT_OUT = "consultation_left_out"
    OTHER_STATUS = "other_status"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCase:
    """A case as it is written here. Times are aware UTC.

    Attributes:
        id: Theirs.
        pims_id: The vendor's appointment id.
        external_id: As stored there.
        scheduled_end: Equal to the start: they store none. The first sync knows it.
        own_metadata: Our keys of ``metadata``. The application's are copied by the database, which
            keeps values exactly that Python cannot.
    """

    id: UUID
    pims_id: str
    external_id: str
    patient_name: str = field(repr=False)
    patient_species: str | None
    client_name: str = field(repr=False)
    client_phone: str | None = field(repr=False)
    scheduled_date: date
    scheduled_start: datetime
    scheduled_end: datetime
    status: CaseStatus
    case_type: CaseType
    visibility: str
    own_metadata: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime
    findings: frozenset[ImportFinding]


def imported(case: V4Case, appointment_id: str, zone: ZoneInfo) -> ImportedCase:
    """The case as it is written here.

    Args:
        case: Theirs, of an appointment.
        appointment_id: The vendor's id of it.
        zone: The clinic's time zone.
    """
    findings: set[ImportFinding] = set()
    day, start = _schedule(case, zone, findings)
    patient = case.patient or V4Patient()
    status = _status(case.status, findings)
    return ImportedCase(
        id=case.id,
        pims_id=appointment_id,
        external_id=case.external_id or appointment_id,
        patient_name=patient.name or "",
        patient_species=patient.species,
        client_name=patient.owner_name or "",
        client_phone=patient.owner_phone,
        scheduled_date=day,
        scheduled_start=start,
        scheduled_end=start,
        status=status,
        case_type=_case_type(case.case_type),
        visibility=case.visibility,
        own_metadata=_own_metadata(case, appointment_id, status, findings),
        created_at=case.created_at,
        updated_at=case.updated_at,
        findings=frozenset(findings),
    )


def _schedule(case: V4Case, zone: ZoneInfo, findings: set[ImportFinding]) -> tuple[date, datetime]:
    if case.scheduled_at is not None:
        return business_date(case.scheduled_at, zone), case.scheduled_at
    if case.scheduled_date is not None:
        midnight = datetime.combine(case.scheduled_date, time.min)
        return case.scheduled_date, local_to_utc(midnight, zone)
    findings.add(ImportFinding.WITHOUT_TIME)
    return business_date(case.created_at, zone), case.created_at.astimezone(UTC)


def _status(stored: str, findings: set[ImportFinding]) -> CaseStatus:
    try:
        return CaseStatus(stored)
    except ValueError:
        findings.add(ImportFinding.OTHER_STATUS)
        return status_of(stored) or CaseStatus.DRAFT


def _case_type(stored: str) -> CaseType:
    try:
        return CaseType(stored)
    except ValueError:
        return CaseType.CHECKUP


def _own_metadata(
    case: V4Case, appointment_id: str, status: CaseStatus, findings: set[ImportFinding]
) -> dict[str, Any]:
    theirs = case.metadata
    ours: dict[str, Any] = {}
    facts = facts_of_appointment(theirs.get(APPOINTMENT_KEY))
    if facts is None:
        findings.add(ImportFinding.WITHOUT_WORDS)
    else:
        ours["appointment"] = facts
    if theirs.get(CONSULTATION_KEY) is not None:
        carried = carried_consultation(
            theirs[CONSULTATION_KEY], appointment_id, fetched_at=case.updated_at
        )
        if carried is None:
            findings.add(ImportFinding.CONSULTATION_LEFT_OUT)
        else:
            findings.add(ImportFinding.CONSULTATION)
            ours["consultation"] = carried
    if is_retired(theirs, status):
        findings.add(ImportFinding.RETIRED)
        ours["reconciliation"] = _retirement(theirs[RECONCILIATION_KEY], case.updated_at)
    return ours


def is_retired(metadata: Mapping[str, Any], status: str) -> bool:
    """Whether the v4.0 service retired the case, and no one has changed its status since."""
    mark = metadata.get(RECONCILIATION_KEY)
    return status == CaseStatus.REVIEWED and isinstance(mark, Mapping) and bool(mark)


def _retirement(mark: Mapping[str, Any], updated_at: datetime) -> dict[str, Any]:
    reason, deleted_at = mark.get("reason"), mark.get("deletedAt")
    return {
        "softDeleted": True,
        "reason": reason if isinstance(reason, str) else "retired by the v4.0 service",
        "deletedAt": deleted_at if isinstance(deleted_at, str) else updated_at.isoformat(),
    }


def facts_of_appointment(stored: Any) -> dict[str, str | None] | None:
    """The vendor's words in a ``pimsAppointment``; None if it has no status word."""
    if not isinstance(stored, Mapping) or not isinstance(stored.get("status"), str):
        return None
    return words_in(stored)


def words_in(stored: Mapping[str, Any]) -> dict[str, str | None]:
    """The vendor's words in a ``pimsAppointment``; None for each that is not there."""
    return {name: _word(stored, places) for name, places in FACT_PLACES.items()}


def _word(stored: Mapping[str, Any], places: Iterable[str]) -> str | None:
    for place in places:
        value = stored.get(place)
        if isinstance(value, Mapping):
            value = value.get("name")
        if isinstance(value, str):
            return value
    return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several cases for the same appointment."""

    id: UUID
    appointment_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The cases for one appointment: one is linked, the others are only reported.

    Attributes:
        linked: The one that most rows of the application refer to, else the newest.
    """

    appointment_id: str
    linked: UUID
    others: tuple[UUID, ...]


def resolve_duplicates(
    candidates: Iterable[Candidate], references: Counter[UUID]
) -> list[Duplicate]:
    """Which case of each appointment is linked.

    Args:
        candidates: Cases that may share an appointment; one that shares none is left out.
        references: By case how many rows of other tables refer to it.
    """
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.appointment_id, []).append(candidate)
    duplicates = []
    for appointment_id, group in sorted(groups.items()):
        if len(group) > 1:
            ranked = sorted(group, key=lambda each: (references[each.id], each.created_at, each.id))
            *others, linked = [each.id for each in ranked]
            duplicates.append(Duplicate(appointment_id, linked, tuple(others)))
    return duplicates


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case that is here already."""

    id: UUID
    clinic_id: UUID
    pims_id: str | None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is written for some of their cases.

    Attributes:
        imports: Cases that are new here.
        links: Theirs, by our case for the same appointment.
        collisions: Their cases whose id belongs to another case here; not imported.
    """

    imports: tuple[ImportedCase, ...]
    links: Mapping[UUID, ImportedCase]
    collisions: tuple[UUID, ...]


def plan_import(
    clinic_id: UUID, cases: Iterable[ImportedCase], known: Iterable[KnownCase]
) -> ImportPlan:
    """What is written for ``cases``.

    Nothing that is here already changes: where we have a case for the appointment, the two are
    linked. Of two cases of one appointment the second one is skipped: it was made since the
    duplicates were read, and the next run reports it.

    Args:
        clinic_id: The clinic, theirs and ours.
        cases: Theirs.
        known: Our cases with the same ids or appointments.
    """
    known = list(known)
    by_id = {each.id: each for each in known}
    by_appointment = {each.pims_id: each for each in known if each.clinic_id == clinic_id}
    imports: list[ImportedCase] = []
    links: dict[UUID, ImportedCase] = {}
    collisions: list[UUID] = []
    seen: set[str] = set()
    for case in cases:
        if case.pims_id in seen:
            continue
        seen.add(case.pims_id)
        ours = by_appointment.get(case.pims_id)
        if ours is not None:
            links[ours.id] = case
        elif case.id in by_id:
            collisions.append(case.id)
        else:
            imports.append(case)
    return ImportPlan(tuple(imports), links, tuple(collisions))
