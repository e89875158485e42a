"""Phase 2: which visits' medical records are due, and what a fetched one changes.

Pure. Fetching, and writing what is planned here, is done by
``pims_pipeline.sync.enrichment``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pims_pipeline.domain.appointments import PimsAppointment
from pims_pipeline.domain.canonical import canonical_json, digest
from pims_pipeline.domain.case_writes import CONSULTATION, METADATA, repairs
from pims_pipeline.domain.cases import Changes
from pims_pipeline.domain.consultations import PimsConsultation, consultation_payload
from pims_pipeline.domain.moments import discard_future, is_in_future, no_later_than
from pims_pipeline.domain.patients import contradicts, is_about_another


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentPolicy:
    """When to ask for a medical record.

    Attributes:
        recheck_ages: Ages of a visit at which its record is asked for again, because
            vendors let notes be corrected for weeks after a visit is closed.
        ask_again_after: How long a visit without a record is left in peace.
        first_retry_after: The wait after the first failed fetch; it doubles each time.
        max_attempts: Failed fetches after which a person has to ask for another.
        min_fetches_to_fail: From how many fetches on it is a failure of the whole phase
            that every one of them failed.
    """

    recheck_ages: tuple[timedelta, ...] = tuple(timedelta(days=n) for n in (1, 3, 7, 14, 30, 45))
    ask_again_after: timedelta = timedelta(minutes=30)
    first_retry_after: timedelta = timedelta(minutes=5)
    max_attempts: int = 8
    min_fetches_to_fail: int = 3

    @property
    def days_back(self) -> int:
        """How many business dates back a visit may lie whose record is still asked for again.

        One more than the oldest re-check age: a visit of the evening reaches that age in the
        evening, and may be looked at on the day after.
        """
        return max(self.recheck_ages, default=timedelta()).days + 1

    def retry_at(self, attempts: int, now: datetime, jitter: float) -> datetime | None:
        """When to try again after ``attempts`` failures, or None when they were too many.

        ``jitter`` lies between 0 and 1 and spreads retries over half the wait, so that
        visits that failed together do not come back together.
        """
        if attempts >= self.max_attempts:
            return None
        return now + self.first_retry_after * 2.0 ** (attempts - 1) * (1 + jitter / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFailure:
    """An unresolved failure to fetch; ``next_retry_at`` is None once it is dead."""

    attempts: int
    last_failed_at: datetime
    next_retry_at: datetime | None

    def as_of(self, now: datetime) -> "FetchFailure":
        """The failure as it may be believed at ``now`` (aware).

        One that is said to have happened later waits for nothing: its retry counts from a
        wrong clock too.
        """
        if not is_in_future(self.last_failed_at, now):
            return self
        retry = None if self.next_retry_at is None else now
        return replace(self, last_failed_at=now, next_retry_at=retry)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichableCase:
    """A live case and what is known of its medical record.

    Attributes:
        appointment: As landed.
        landed_at: When the landed payload that stands was fetched.
        checked_at: When the medical record was last asked for, before the request.
        consultation: ``metadata.consultation`` as it stands; None when there is none that
            can be read.
        damage: What stands in the way of writing it; see ``Case.damage``.
    """

    case_id: UUID
    appointment: PimsAppointment
    landed_at: datetime
    checked_at: datetime | None = None
    consultation: Mapping[str, Any] | None = None
    failure: FetchFailure | None = None
    patient_species: str | None = None
    damage: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_of(self, now: datetime) -> "EnrichableCase":
        """The case as it may be believed at ``now`` (aware): nothing was asked or landed later."""
        return replace(
            self,
            landed_at=no_later_than(self.landed_at, now),
            checked_at=discard_future(self.checked_at, now),
            failure=None if self.failure is None else self.failure.as_of(now),
        )


class FetchReason(StrEnum):
    """Why a medical record is due."""

    MISSING = "missing"
    APPOINTMENT_CHANGED = "appointment_changed"
    LATE_EDIT = "late_edit"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentPlan:
    """The cases whose medical record is to be fetched, and why, earliest visit first."""

    due: tuple[tuple[EnrichableCase, FetchReason], ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be fetched."""
        return not self.due


def plan_enrichment(
    cases: Iterable[EnrichableCase], now: datetime, policy: EnrichmentPolicy
) -> EnrichmentPlan:
    """Decide whose medical record is due at ``now`` (aware UTC)."""
    due = [
        (case, reason) for case in cases if (reason := due_reason(case, now, policy)) is not None
    ]
    due.sort(key=lambda pair: (pair[0].appointment.scheduled_start, pair[0].case_id))
    return EnrichmentPlan(due=tuple(due))


def due_reason(case: EnrichableCase, now: datetime, policy: EnrichmentPolicy) -> FetchReason | None:
    """Why the case's medical record is due at ``now``, or None when it is not."""
    case = case.as_of(now)
    start = case.appointment.scheduled_start
    if start > now or _rests_after_failure(case, now):
        return None
    if case.checked_at is None:
        return FetchReason.MISSING
    if case.landed_at > case.checked_at:
        return FetchReason.APPOINTMENT_CHANGED
    if case.consultation is None:
        rested = now - case.checked_at >= policy.ask_again_after
        return FetchReason.MISSING if rested else None
    if any(case.checked_at < start + age <= now for age in policy.recheck_ages):
        return FetchReason.LATE_EDIT
    return None


def _rests_after_failure(case: EnrichableCase, now: datetime) -> bool:
    """Whether a failed fetch waits for its retry; a change at the vendor ends the wait."""
    failure = case.failure
    if failure is None or case.landed_at > failure.last_failed_at:
        return False
    return failure.next_retry_at is None or failure.next_retry_at > now


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedConsultation:
    """The answer for one case.

    Attributes:
        asked_at: Taken before the request; aware UTC.
        asked_for: The appointment as it was when the vendor was asked.
    """

    case_id: UUID
    asked_at: datetime
    consultation: PimsConsultation | None
    asked_for: PimsAppointment


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationWrite:
    """A medical record to be put on its case.

    Attributes:
        metadata: The new ``metadata.consultation``.
        patient_species: To be written when the case names none or another; None leaves it.
    """

    case: EnrichableCase
    metadata: Mapping[str, Any]
    changes: Changes
    digest: str
    patient_species: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationPlan:
    """What the fetched medical records change.

    Attributes:
        checked: Every case that was answered for, and when it was asked for.
        unchanged: Cases whose record says what it said before, and those whose appointment
            changed hands while the vendor was asked: they are asked for again.
        absent: Cases that have no record (yet).
        refused: Cases whose record is another patient's.
    """

    writes: tuple[ConsultationWrite, ...]
    checked: Mapping[UUID, datetime]
    unchanged: frozenset[UUID]
    absent: frozenset[UUID]
    refused: frozenset[UUID]
    implausible: frozenset[UUID]


def plan_consultations(
    cases: Mapping[UUID, EnrichableCase],
    fetched: Collection[FetchedConsultation],
    *,
    now: datetime | None = None,
) -> ConsultationPlan:
    """Decide what fetched medical records change.

    A record that was asked for before the one that stands is dropped: an older answer
    never overwrites a newer one. So is one that was asked for on behalf of a patient, client
    or consultation that the appointment no longer names. A record that vanished at the vendor
    is kept here. A record of another patient than the appointment's is refused.

    Args:
        cases: Those that were asked about, as they are now.
        fetched: The responses.
        now: The present moment (aware); a case said to be checked after it was checked by a
            wrong clock, and the response counts. None believes all.
    """
    writes: list[ConsultationWrite] = []
    checked: dict[UUID, datetime] = {}
    unchanged: set[UUID] = set()
    absent: set[UUID] = set()
    refused: set[UUID] = set()
    implausible: set[UUID] = set()
    for answer in fetched:
        case = cases.get(answer.case_id)
        if case is None or _is_outdated(answer, case, now):
            unchanged.add(answer.case_id)
            continue
        if answer.consultation and contradicts(
            answer.consultation.patient, case.appointment.patient
        ):
            refused.add(answer.case_id)
            continue
        checked[answer.case_id] = answer.asked_at
        if answer.consultation is None:
            absent.add(answer.case_id)
            continue
        vitals = answer.consultation.vitals
        if vitals and vitals.implausible():
            implausible.add(answer.case_id)
        write = _consultation_write(case, answer.consultation, answer.asked_at)
        if write is None:
            unchanged.add(answer.case_id)
        else:
            writes.append(write)
    return ConsultationPlan(
        writes=tuple(writes),
        checked=checked,
        unchanged=frozenset(unchanged),
        absent=frozenset(absent),
        refused=frozenset(refused),
        implausible=frozenset(implausible),
    )


def _is_outdated(answer: FetchedConsultation, case: EnrichableCase, now: datetime | None) -> bool:
    """Whether the answer is older than the one that stands, or of what the case was before."""
    checked_at = case.checked_at if now is None else discard_future(case.checked_at, now)
    if checked_at and checked_at > answer.asked_at:
        return True
    return is_about_another(answer.asked_for, case.appointment)


def _consultation_write(
    case: EnrichableCase, consultation: PimsConsultation, asked_at: datetime
) -> ConsultationWrite | None:
    payload = consultation_payload(consultation)
    new_digest = digest(canonical_json(payload))
    before = case.consultation or {}
    species = consultation.patient.species if consultation.patient else None
    new_species = species if species and species != case.patient_species else None
    if before.get("digest") == new_digest and not (new_species and case.patient_species is None):
        return None
    in_the_way = {METADATA, CONSULTATION}
    changes = {place: each for place, each in repairs(case.damage).items() if place in in_the_way}
    changes |= {
        f"consultation.{name}": (before.get(name), value)
        for name, value in payload.items()
        if before.get(name) != value
    }
    if new_species:
        changes["patient_species"] = (case.patient_species, new_species)
    return ConsultationWrite(
        case=case,
        metadata={**payload, "fetchedAt": asked_at.isoformat(), "digest": new_digest},
        changes=changes,
        digest=new_digest,
        patient_species=new_species,
    )
