"""Phase 1: what a listing of the diary changes in the landed records and the cases.

Pure. Reading the diary and the store, and writing what is planned here, is done by
``pims_pipeline.sync.inbound``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from pims_pipeline.domain.appointments import (
    PimsAppointment,
    RecordKind,
    Snapshot,
    appointment_payload,
)
from pims_pipeline.domain.canonical import canonical_json, digest
from pims_pipeline.domain.cases import (
    Case,
    CaseDraft,
    CaseStatus,
    CaseType,
    Changes,
    EventKind,
    case_type_of,
    draft_of,
    status_of,
)
from pims_pipeline.domain.moments import believed
from pims_pipeline.domain.outcome import Counts, tally


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the store knows of one vendor identity before the listing is applied.

    Attributes:
        series_id: The vendor's identity, where it gave one to several appointments.
        digest: Of the landed payload; None when the visit was never landed.
        last_seen_at: When the latest listing that held it was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found to have it no more.
        case: The case it became, soft-deleted or not.
    """

    pims_id: str
    series_id: str | None = None
    business_date: date | None = None
    scheduled_start: datetime | None = None
    digest: str | None = None
    last_seen_at: datetime | None = None
    missing_since: datetime | None = None
    removed_at: datetime | None = None
    case: Case | None = None

    @property
    def vendor_identity(self) -> str:
        """The identity by which the vendor knows it, alone or with others of its series."""
        return self.series_id or self.pims_id

    @property
    def starts_at(self) -> datetime | None:
        """When it begins, as landed or as its case says; aware UTC."""
        if self.scheduled_start is not None or self.case is None:
            return self.scheduled_start
        return self.case.scheduled_start

    @property
    def is_absent(self) -> bool:
        """Whether a listing or a look-up has found it to be gone from its date."""
        return self.missing_since is not None or self.removed_at is not None

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether something is known of it that a listing fetched at ``moment`` cannot know."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        return any(known is not None and known > moment for known in moments)

    def as_of(self, now: datetime) -> "KnownRecord":
        """The record without the moments that lie after ``now`` (aware): they tell nothing."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (believed(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A vendor record to be stored as it was fetched; ``payload`` is canonical JSON."""

    appointment: PimsAppointment
    payload: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseWrite:
    """A case to be inserted (``created``) or brought in line with its appointment.

    Attributes:
        before: The case as it stands; None when it is created.
        status: None leaves the status as people have set it.
        case_type: None leaves the type as people have set it.
        digest: Of the vendor record that caused the write.
    """

    case_id: UUID
    pims_id: str
    kind: EventKind
    before: Case | None
    draft: CaseDraft
    digest: str
    status: CaseStatus | None
    case_type: CaseType | None

    @property
    def changes(self) -> Changes:
        """Field by field what the write changes; of a created case, all it says."""
        if self.before is None:
            said = _case_values(self.draft).items()
            return {name: (None, value) for name, value in said if value is not None}
        changes = case_changes(self.before, self.draft)
        return {**changes, "softDeleted": (True, False)} if self.before.soft_deleted else changes


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPlan:
    """What applying a listing writes.

    Attributes:
        landings: Records that are new or say something new.
        sightings: Identities the listing holds, so that later decisions know they were seen.
        missing: Landed identities of the window that a complete listing does not hold.
        by_date: What became of every record found, by business date.
    """

    landings: tuple[Landing, ...]
    sightings: tuple[str, ...]
    missing: tuple[str, ...]
    case_writes: tuple[CaseWrite, ...]
    by_date: Mapping[date, Counts]
    unknown_statuses: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether applying it changes nothing but the times at which records were seen."""
        return not (self.landings or self.missing or self.case_writes)


def plan_inbound(
    existing: Mapping[str, KnownRecord],
    snapshot: Snapshot,
    *,
    identify: Callable[[str], UUID],
    now: datetime | None = None,
) -> InboundPlan:
    """Decide what a listing changes.

    A record that the store knows something newer of is left alone. A record whose digest
    is unchanged causes no write. Status and type of a case are written only when what the
    vendor's words mean has changed, so that people's own choices stand until then.

    Args:
        existing: By vendor identity: everything in the listing that is known, and every
            landed record of the window.
        snapshot: The listing.
        identify: Gives the case identity for a vendor identity.
        now: The present moment (aware), not before the listing came. What is known of a moment
            after it was written by a wrong clock and is left out of account; None believes all.
    """
    if now is not None:
        existing = {pims_id: known.as_of(now) for pims_id, known in existing.items()}
    fates: list[tuple[date, str]] = []
    landings: list[Landing] = []
    sightings: list[str] = []
    writes: list[CaseWrite] = []
    unknown: set[str] = set()
    for appointment in snapshot.appointments:
        known = existing.get(appointment.appointment_id) or KnownRecord(
            pims_id=appointment.appointment_id
        )
        fate = "unchanged" if appointment.kind is RecordKind.APPOINTMENT else "blocked"
        if not known.is_newer_than(snapshot.fetched_at):
            sightings.append(known.pims_id)
            landing = _landing(appointment)
            if landing.digest != known.digest:
                landings.append(landing)
            if appointment.kind is RecordKind.APPOINTMENT:
                if status_of(appointment.status) is None:
                    unknown.add(appointment.status)
                write = _case_write(known, landing, identify)
                if write is not None:
                    writes.append(write)
                    fate = _FATES.get(write.kind, "updated")
        fates.append((appointment.business_date, fate))
    for record in snapshot.quarantined:
        day = record.business_date
        # A date that was misread must not carry the count out of the window.
        seen_on = day if day and day in snapshot.window else snapshot.window.start
        fates.append((seen_on, "quarantined"))
    return InboundPlan(
        landings=tuple(landings),
        sightings=tuple(sightings),
        missing=tuple(_missing(existing, snapshot)),
        case_writes=tuple(writes),
        by_date=tally(fates),
        unknown_statuses=tuple(sorted(unknown)),
    )


_FATES = {EventKind.CREATED: "created", EventKind.RESTORED: "restored"}


def _landing(appointment: PimsAppointment) -> Landing:
    payload = canonical_json(appointment_payload(appointment))
    return Landing(appointment=appointment, payload=payload, digest=digest(payload))


def _missing(existing: Mapping[str, KnownRecord], snapshot: Snapshot) -> list[str]:
    """Landed identities whose absence from the listing says that they left the window."""
    if not snapshot.complete or snapshot.hides_identities:
        return []
    present = {appointment.appointment_id for appointment in snapshot.appointments}
    # An unreadable record of a series may be any of its occurrences.
    unreadable = {record.pims_id for record in snapshot.quarantined if record.pims_id}
    return sorted(
        known.pims_id
        for known in existing.values()
        if known.pims_id not in present
        and known.vendor_identity not in unreadable
        and known.digest is not None
        and known.business_date in snapshot.window
        and known.missing_since is None
        and known.removed_at is None
        and not known.is_newer_than(snapshot.fetched_at)
    )


def _case_write(
    known: KnownRecord, landing: Landing, identify: Callable[[str], UUID]
) -> CaseWrite | None:
    case = known.case
    if case is None:
        return _creation(identify(known.pims_id), landing)
    if not case.soft_deleted and landing.digest == known.digest:
        return None
    draft = draft_of(landing.appointment)
    says_new_status = case.soft_deleted or draft.status is not status_of_facts(case.facts)
    says_new_type = draft.case_type is not case_type_of(case.facts.get("type"))
    wanted = replace(
        draft,
        patient_species=draft.patient_species or case.patient_species,
        status=draft.status if says_new_status else case.status,
        case_type=draft.case_type if says_new_type else case.case_type,
    )
    changed = case_changes(case, wanted)
    if not changed and not case.soft_deleted:
        return None
    return CaseWrite(
        case_id=case.id,
        pims_id=known.pims_id,
        kind=EventKind.RESTORED if case.soft_deleted else _kind_of(changed),
        before=case,
        draft=wanted,
        digest=landing.digest,
        status=wanted.status if says_new_status else None,
        case_type=wanted.case_type if says_new_type else None,
    )


def status_of_facts(facts: Mapping[str, str | None]) -> CaseStatus:
    """What the vendor's words kept on a case mean; an unknown word means a draft."""
    return status_of(facts.get("status")) or CaseStatus.DRAFT


def _creation(case_id: UUID, landing: Landing) -> CaseWrite:
    draft = draft_of(landing.appointment)
    return CaseWrite(
        case_id=case_id,
        pims_id=landing.appointment.appointment_id,
        kind=EventKind.CREATED,
        before=None,
        draft=draft,
        digest=landing.digest,
        status=draft.status,
        case_type=draft.case_type,
    )


def _kind_of(changes: Changes) -> EventKind:
    if "scheduled_start" in changes or "scheduled_date" in changes:
        return EventKind.RESCHEDULED
    if "status" in changes:
        return EventKind.STATUS_CHANGED
    return EventKind.UPDATED


def case_changes(case: Case, wanted: CaseDraft) -> dict[str, tuple[Any, Any]]:
    """Field by field what differs, JSON-ready; the vendor's words as ``appointment.…``."""
    before, after = _case_values(case), _case_values(wanted)
    return {name: (before[name], after[name]) for name in after if before[name] != after[name]}


def _case_values(case: Case | CaseDraft) -> dict[str, Any]:
    values: dict[str, Any] = {
        "patient_name": case.patient_name,
        "patient_species": case.patient_species,
        "client_name": case.client_name,
        "client_phone": case.client_phone,
        "scheduled_date": case.scheduled_date.isoformat(),
        "scheduled_start": case.scheduled_start.astimezone(UTC).isoformat(),
        "scheduled_end": case.scheduled_end.astimezone(UTC).isoformat(),
        "status": case.status.value,
        "case_type": case.case_type.value,
    }
    for name, shown_as in _FACTS.items():
        values[shown_as] = case.facts.get(name)
    return values


_FACTS = {name: f"appointment.{name}" for name in ("status", "type", "provider", "room", "reason")}
"""The vendor's words that a case keeps in ``metadata.appointment``."""
