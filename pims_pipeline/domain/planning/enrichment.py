"""Phase 2: which consultations are due, and what a fetched one changes.

Pure. Fetching and writing belong in ``pims_pipeline.sync.phases.enrichment``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pims_pipeline.domain.failures import MAX_ATTEMPTS
from pims_pipeline.domain.moments import discard_future, is_in_future, no_later_than
from pims_pipeline.domain.planning.case_writes import CONSULTATION, METADATA, repairs
from pims_pipeline.domain.planning.patients import contradicts, is_about_another
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.cases import Changes
from pims_pipeline.domain.records.consultations import PimsConsultation, consultation_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentPolicy:
    """When to fetch a consultation.

    Attributes:
        recheck_ages: Ages of an appointment at which its consultation is fetched again, because
            vendors allow corrections of notes for weeks after a consultation is closed.
        ask_again_after: The wait before the next fetch for an appointment that had no
            consultation, or an unfinished one.
        unfinished_for: How long after its start an unfinished consultation is fetched again so
            often; later, only at the recheck ages.
        first_retry_after: The wait after the first failed fetch; it doubles each time.
        max_attempts: How many failed fetches make a dead letter, which only a person retries.
        min_fetches_to_fail: The least number of fetches for which the whole phase fails if all
            of them fail.
    """

    recheck_ages: tuple[timedelta, ...] = tuple(timedelta(days=n) for n in (1, 3, 7, 14, 30, 45))
    ask_again_after: timedelta = timedelta(minutes=30)
    unfinished_for: timedelta = timedelta(days=2)
    first_retry_after: timedelta = timedelta(minutes=5)
    max_attempts: int = MAX_ATTEMPTS
    min_fetches_to_fail: int = 3

    @property
    def days_back(self) -> int:
        """How many business dates back consultations are still fetched again.

        One more than the highest recheck age: an evening appointment reaches that age in the
        evening, and may be checked on the day after.
        """
        return max(self.recheck_ages, default=timedelta()).days + 1

    def retry_at(self, attempts: int, now: datetime, jitter: float) -> datetime | None:
        """When to retry after ``attempts`` failures; None when they were too many.

        ``jitter``, from 0 to 1, spreads retries over half the wait, so that fetches that failed
        together are not retried together.
        """
        if attempts >= self.max_attempts:
            return None
        return now + self.first_retry_after * 2.0 ** (attempts - 1) * (1 + jitter / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFailure:
    """An open failure to fetch; ``next_retry_at`` is None once it is a dead letter."""

    attempts: int
    last_failed_at: datetime
    next_retry_at: datetime | None

    def as_of(self, now: datetime) -> "FetchFailure":
        """The failure without times that lie after ``now`` (aware).

        If a wrong clock dated it in the future, its retry is due now: that time is wrong too.
        """
        if not is_in_future(self.last_failed_at, now):
            return self
        retry = None if self.next_retry_at is None else now
        return replace(self, last_failed_at=now, next_retry_at=retry)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichableCase:
    """An active case and what is known of its consultation.

    Attributes:
        appointment: As landed.
        landed_at: When the current landed payload was fetched.
        checked_at: When the consultation was last requested, taken before the request.
        consultation: The present ``metadata.consultation``; None when there is none or it is
            unreadable.
        damage: Unreadable metadata that the write replaces; see ``Case.damage``.
    """

    case_id: UUID
    appointment: PimsAppointment
    landed_at: datetime
    checked_at: datetime | None = None
    consultation: Mapping[str, Any] | None = None
    failure: FetchFailure | None = None
    patient_species: str | None = None
    damage: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_unfinished(self) -> bool:
        """Whether the notes of the consultation were still being written."""
        return self.consultation is not None and self.consultation.get("finished") is False

    def as_of(self, now: datetime) -> "EnrichableCase":
        """The case without times that lie after ``now`` (aware)."""
        return replace(
            self,
            landed_at=no_later_than(self.landed_at, now),
            checked_at=discard_future(self.checked_at, now),
            failure=None if self.failure is None else self.failure.as_of(now),
        )


class FetchReason(StrEnum):
    """Why a consultation is due."""

    MISSING = "missing"
    APPOINTMENT_CHANGED = "appointment_changed"
    LATE_EDIT = "late_edit"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentPlan:
    """The cases whose consultation is to be fetched, and why, earliest appointment first."""

    due: tuple[tuple[EnrichableCase, FetchReason], ...]

    @property
    def is_empty(self) -> bool:
        """Whether no consultation is due."""
        return not self.due


def plan_enrichment(
    cases: Iterable[EnrichableCase], now: datetime, policy: EnrichmentPolicy
) -> EnrichmentPlan:
    """Decide which cases' consultations are due at ``now`` (aware UTC)."""
    due = [
        (case, reason) for case in cases if (reason := due_reason(case, now, policy)) is not None
    ]
    due.sort(key=lambda pair: (pair[0].appointment.scheduled_start, pair[0].case_id))
    return EnrichmentPlan(due=tuple(due))


def due_reason(case: EnrichableCase, now: datetime, policy: EnrichmentPolicy) -> FetchReason | None:
    """Why the case's consultation is due at ``now``; None when it is not."""
    case = case.as_of(now)
    start = case.appointment.scheduled_start
    if start > now or _waits_for_retry(case, now):
        return None
    if case.checked_at is None:
        return FetchReason.MISSING
    if case.landed_at > case.checked_at:
        return FetchReason.APPOINTMENT_CHANGED
    has_paused = now - case.checked_at >= policy.ask_again_after
    if case.consultation is None:
        return FetchReason.MISSING if has_paused else None
    if any(case.checked_at < start + age <= now for age in policy.recheck_ages):
        return FetchReason.LATE_EDIT
    is_awaited = case.is_unfinished and now - start <= policy.unfinished_for
    return FetchReason.UNFINISHED if is_awaited and has_paused else None


def _waits_for_retry(case: EnrichableCase, now: datetime) -> bool:
    """Whether a failed fetch waits for its retry; a change at the vendor ends the wait."""
    failure = case.failure
    if failure is None or case.landed_at > failure.last_failed_at:
        return False
    return failure.next_retry_at is None or failure.next_retry_at > now


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedConsultation:
    """The vendor's response for one case.

    Attributes:
        asked_at: Taken before the request; aware UTC.
        asked_for: The appointment as it was at the time of the request.
    """

    case_id: UUID
    asked_at: datetime
    consultation: PimsConsultation | None
    asked_for: PimsAppointment


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationWrite:
    """A consultation to be written to its case.

    Attributes:
        metadata: The new ``metadata.consultation``.
        patient_species: The new species, if the case has none or another; None leaves it.
    """

    case: EnrichableCase
    metadata: Mapping[str, Any]
    changes: Changes
    digest: str
    patient_species: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultationPlan:
    """What the fetched consultations change.

    Attributes:
        checked: Every case with a usable response, and when its request was sent.
        unchanged: Cases whose consultation is the same as before, and those whose appointment
            changed patient or client during the request: they are fetched again.
        absent: Cases that have no consultation (yet).
        refused: Cases whose consultation belongs to another patient.
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
    """Decide what fetched consultations change.

    An older response never overwrites a newer one, so a response is dropped if its request is
    older than the stored consultation. It is also dropped if the appointment now names another
    patient, client or consultation. A consultation that is gone at the vendor is kept here. A
    consultation of another patient than the appointment's is refused.

    Args:
        cases: The cases that were asked for, as they are now.
        fetched: The responses.
        now: The present time (aware). A later ``checked_at`` was written by a wrong clock and is
            ignored. None accepts every time.
    """
    writes: list[ConsultationWrite] = []
    checked: dict[UUID, datetime] = {}
    unchanged: set[UUID] = set()
    absent: set[UUID] = set()
    refused: set[UUID] = set()
    implausible: set[UUID] = set()
    for response in fetched:
        case_id, consultation = response.case_id, response.consultation
        case = cases.get(case_id)
        if case is None or _is_outdated(response, case, now):
            unchanged.add(case_id)
            continue
        if consultation and contradicts(consultation.patient, case.appointment.patient):
            refused.add(case_id)
            continue
        checked[case_id] = response.asked_at
        if consultation is None:
            absent.add(case_id)
            continue
        if consultation.vitals and consultation.vitals.implausible():
            implausible.add(case_id)
        write = _consultation_write(case, consultation, response.asked_at)
        if write is None:
            unchanged.add(case_id)
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


def _is_outdated(response: FetchedConsultation, case: EnrichableCase, now: datetime | None) -> bool:
    """Whether a newer request was made, or the appointment has changed since this one."""
    checked_at = case.checked_at if now is None else discard_future(case.checked_at, now)
    if checked_at and checked_at > response.asked_at:
        return True
    return is_about_another(response.asked_for, case.appointment)


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
