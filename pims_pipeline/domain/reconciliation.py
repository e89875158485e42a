"""Phase 3: which cases have lost their visit, and whether that may be believed.

Pure. A case is retired only when its visit is missing from a listing that can be
trusted *and* that is confirmed: by asking the vendor for the visit itself, or, where a
vendor cannot be asked, by a second listing some time later. Reading and writing is done
by ``pims_pipeline.sync.reconciliation``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.appointments import (
    AppointmentLookup,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.cases import Case
from pims_pipeline.domain.moments import believed
from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.rejections import Decided, Rejection, decided_on


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionPolicy:
    """How much may vanish at once before a person has to look.

    Attributes:
        min_orphans: So many may always be retired.
        max_percent: Share of the window's active cases that may be retired at once.
        absence_interval: How far apart two listings must lie to confirm an absence where
            the vendor cannot be asked for one visit.
    """

    min_orphans: int = 5
    max_percent: float = 30.0
    absence_interval: timedelta = timedelta(minutes=15)

    def allows(self, orphans: int, active: int) -> bool:
        """Whether so many of the active cases may be retired without a person's consent."""
        return orphans <= max(self.min_orphans, active * self.max_percent / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedCase:
    """An active case of the window, with what is known of its visit.

    Attributes:
        appointment: As landed; None when the visit was never landed.
        last_seen_at: When the latest listing that held it was fetched.
        missing_since: When the first complete listing without it was fetched.
        removed_at: When the vendor was found to have it no more.
    """

    case: Case
    appointment: PimsAppointment | None = None
    last_seen_at: datetime | None = None
    missing_since: datetime | None = None
    removed_at: datetime | None = None

    @property
    def vendor_identity(self) -> str:
        """The identity by which the vendor knows it, alone or with others of its series."""
        return self.appointment.vendor_identity if self.appointment else self.case.pims_id

    def as_of(self, now: datetime) -> "TrackedCase":
        """The case without the moments that lie after ``now`` (aware): they tell nothing."""
        moments = (self.last_seen_at, self.missing_since, self.removed_at)
        seen, missing, removed = (believed(moment, now) for moment in moments)
        if (seen, missing, removed) == moments:
            return self
        return replace(self, last_seen_at=seen, missing_since=missing, removed_at=removed)


class RetirementReason(StrEnum):
    """What the vendor said of a visit whose case is retired."""

    UNKNOWN_TO_VENDOR = "unknown_to_vendor"
    DELETED_BY_VENDOR = "deleted_by_vendor"
    NOT_A_VISIT = "not_a_visit"
    ABSENT_TWICE = "absent_twice"
    ABSENT_APPROVED = "absent_approved"


class HoldReason(StrEnum):
    """Why the deletion guard struck."""

    EMPTY_LISTING = "empty_listing"
    TOO_MANY_ORPHANS = "too_many_orphans"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A case to be soft-deleted, and why.

    Attributes:
        gone_at: The moment at which the vendor is known to have it no more; aware UTC.
    """

    case: Case
    reason: RetirementReason
    gone_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPlan:
    """What the comparison of cases and diary leads to.

    Attributes:
        retire: Cases to be soft-deleted; empty when the window is held.
        follow: Visits that stand elsewhere or otherwise than landed: the landed record
            with what the vendor now says of it, to be applied like a listing's.
        orphans: Every confirmed orphan, retired or held.
        unconfirmed: Cases missing from the listing that the vendor could not yet be
            asked about; they are kept.
        hold: Set when the deletion guard struck.
        kept: Orphans that stay because a person rejected their retirement.
        kept_by: The hold that was rejected, if any are kept; the latest where there are several.
        ended: Cases of rejected holds whose appointment is there again: the decision on them is
            over.
    """

    retire: tuple[Retirement, ...]
    follow: tuple[PimsAppointment, ...]
    orphans: tuple[UUID, ...]
    unconfirmed: tuple[UUID, ...]
    hold: HoldReason | None
    active: int
    by_date: Mapping[date, Counts]
    kept: tuple[UUID, ...] = ()
    kept_by: UUID | None = None
    ended: tuple[UUID, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether applying it changes nothing."""
        return not (self.retire or self.follow)


def orphan_candidates(cases: Iterable[TrackedCase], snapshot: Snapshot) -> tuple[TrackedCase, ...]:
    """The cases that the listing should hold and does not.

    A case seen by a listing fetched later than this one is no candidate, nor is one whose
    record was there but could not be read.
    """
    present = {
        appointment.appointment_id
        for appointment in snapshot.appointments
        if appointment.kind is RecordKind.APPOINTMENT
    }
    # An unreadable record of a series may be any of its occurrences.
    unreadable = {record.pims_id for record in snapshot.quarantined if record.pims_id}
    return tuple(
        tracked
        for tracked in cases
        if tracked.case.pims_id not in present
        and tracked.vendor_identity not in unreadable
        and not (tracked.last_seen_at and tracked.last_seen_at > snapshot.fetched_at)
    )


def must_hold_unseen(cases: Collection[TrackedCase], snapshot: Snapshot) -> bool:
    """Whether the listing is so empty that nobody needs to be asked before holding.

    Cases that a later listing has seen do not make an old, empty one suspicious.
    """
    if snapshot.appointments or snapshot.quarantined:
        return False
    return bool(orphan_candidates(cases, snapshot))


def plan_reconciliation(
    cases: Collection[TrackedCase],
    snapshot: Snapshot,
    policy: DeletionPolicy,
    *,
    lookups: Mapping[str, AppointmentLookup] | None,
    approved: frozenset[UUID] | None = None,
    rejections: Collection[Rejection] = (),
    now: datetime | None = None,
) -> ReconciliationPlan:
    """Decide which cases are retired, follow their visit, or stay.

    Args:
        cases: The window's active cases.
        snapshot: The listing; one that is not complete retires nothing.
        policy: The deletion guard's limits.
        lookups: By vendor identity, what the vendor said of the candidates; a candidate
            that is not in it is unconfirmed. None when the vendor cannot be asked.
        approved: The cases of a hold that a person approved. The guard does not strike
            then, and no other case is retired; those approved still have to be missing.
        rejections: The rejected holds that still count. Their cases stay, and the guard does
            not strike again over them alone.
        now: The present moment (aware), not before the listing came. A moment after it was
            written by a wrong clock and is left out of account; None believes all.
    """
    if now is not None:
        cases = [tracked.as_of(now) for tracked in cases]
        rejections = [each.as_of(now) for each in rejections]
    found = _compare(cases, snapshot, policy, lookups, approved)
    decided = _decided(cases, snapshot, found, rejections if approved is None else ())
    hold = _hold(cases, snapshot, len(found.retire), policy) if approved is None else None
    orphans = _orphans(found, hold)
    hold, kept = _after_rejections(hold, orphans, decided)
    retire, follow = _changes(found, kept) if hold is None else ((), ())
    waiting = tuple(tracked.case.id for tracked in found.unconfirmed)
    return ReconciliationPlan(
        retire=retire,
        follow=follow,
        orphans=orphans,
        unconfirmed=waiting,
        hold=hold,
        active=len(cases),
        by_date=_counts(
            cases,
            retire=retire,
            follow=follow,
            held=orphans if hold else kept,
            unconfirmed=waiting,
        ),
        kept=kept,
        kept_by=decided.latest(kept),
        ended=tuple(sorted(decided.ended)),
    )


@dataclass(slots=True)
class _Compared:
    """The cases that the listing lacks, by what the vendor says of them."""

    candidates: tuple[TrackedCase, ...]
    retire: list[Retirement]
    follow: list[PimsAppointment]
    unconfirmed: list[TrackedCase]


def _orphans(found: _Compared, hold: HoldReason | None) -> tuple[UUID, ...]:
    """The cases that a hold would be about: of an empty listing, every candidate."""
    if hold is HoldReason.EMPTY_LISTING:
        return tuple(tracked.case.id for tracked in found.candidates)
    return tuple(each.case.id for each in found.retire)


def _after_rejections(
    hold: HoldReason | None, orphans: tuple[UUID, ...], decided: Decided
) -> tuple[HoldReason | None, tuple[UUID, ...]]:
    """What is left of a hold, and which cases stay because people rejected one like it."""
    if hold is None:
        return None, tuple(case_id for case_id in orphans if case_id in decided.covered)
    return (None, orphans) if decided.covers_all(orphans, hold) else (hold, ())


def _changes(
    found: _Compared, kept: Collection[UUID]
) -> tuple[tuple[Retirement, ...], tuple[PimsAppointment, ...]]:
    """Which cases are retired and which follow their visit, when nothing is held."""
    staying = frozenset(kept)
    retire = tuple(each for each in found.retire if each.case.id not in staying)
    return retire, tuple(found.follow)


def _compare(
    cases: Iterable[TrackedCase],
    snapshot: Snapshot,
    policy: DeletionPolicy,
    lookups: Mapping[str, AppointmentLookup] | None,
    approved: frozenset[UUID] | None,
) -> _Compared:
    candidates = orphan_candidates(cases, snapshot) if snapshot.complete else ()
    answers = _own_answers(candidates, snapshot, lookups or {})
    found = _Compared(candidates, [], [], [])
    for tracked in candidates:
        lookup = answers.get(tracked.case.pims_id)
        can_ask = lookups is not None and not _speaks_of_others(tracked, lookups, answers)
        reason = _reason_to_retire(tracked, snapshot, policy, lookup, can_ask=can_ask)
        if approved is not None:
            reason = _reason_if_approved(tracked, reason, approved, can_ask=can_ask)
        if reason is not None:
            known_at = tracked.removed_at or snapshot.fetched_at
            gone_at = lookup.asked_at if lookup else known_at
            found.retire.append(Retirement(case=tracked.case, reason=reason, gone_at=gone_at))
        elif lookup is None or not lookup.stands:
            found.unconfirmed.append(tracked)
        elif moved := _as_the_vendor_says(tracked, lookup):
            found.follow.append(moved)
    return found


def _decided(
    cases: Iterable[TrackedCase],
    snapshot: Snapshot,
    found: _Compared,
    rejections: Collection[Rejection],
) -> Decided:
    """What people decided earlier on the cases; an incomplete listing ends no decision."""
    if not rejections or not snapshot.complete:
        return Decided({}, frozenset())
    missing = {each.case.id for each in found.retire}
    missing |= {each.case.id for each in found.unconfirmed}
    return decided_on(
        rejections,
        [(each.case.id, each.last_seen_at) for each in cases],
        {each.case.id for each in cases} - missing,
    )


def _own_answers(
    candidates: Iterable[TrackedCase],
    snapshot: Snapshot,
    lookups: Mapping[str, AppointmentLookup],
) -> dict[str, AppointmentLookup]:
    """By identity, the look-ups that speak of the very appointment that was asked about.

    The occurrences of a series share the identity that is looked up. What the vendor says of
    it goes for an occurrence when it names that one's start; that it knows the identity no
    more goes for every occurrence, as long as the listing does not hold another one.
    """
    listed = {each.vendor_identity for each in snapshot.appointments}
    own: dict[str, AppointmentLookup] = {}
    for tracked in candidates:
        lookup = lookups.get(tracked.case.pims_id)
        if lookup is None:
            continue
        landed = tracked.appointment
        if landed is not None and landed.series_id is not None:
            is_gone = not lookup.found or (lookup.deleted and lookup.scheduled_start is None)
            if is_gone and landed.series_id in listed:
                continue
            if not is_gone and lookup.scheduled_start != landed.scheduled_start:
                continue
        own[tracked.case.pims_id] = lookup
    return own


def _speaks_of_others(
    tracked: TrackedCase,
    lookups: Mapping[str, AppointmentLookup],
    own: Mapping[str, AppointmentLookup],
) -> bool:
    """Whether the vendor did answer, but of other occurrences of the series alone."""
    return tracked.case.pims_id in lookups and tracked.case.pims_id not in own


def _reason_if_approved(
    tracked: TrackedCase,
    reason: RetirementReason | None,
    approved: frozenset[UUID],
    *,
    can_ask: bool,
) -> RetirementReason | None:
    """The reason under a person's approval, which covers the approved cases alone.

    Where the vendor cannot be asked for one visit, the person's word stands in for the
    second listing.
    """
    if tracked.case.id not in approved:
        return None
    if reason is None and not can_ask:
        return RetirementReason.ABSENT_APPROVED
    return reason


def _reason_to_retire(
    tracked: TrackedCase,
    snapshot: Snapshot,
    policy: DeletionPolicy,
    lookup: AppointmentLookup | None,
    *,
    can_ask: bool,
) -> RetirementReason | None:
    if lookup is not None:
        # The vendor's word of today outweighs what was found before.
        return _reason_in(lookup)
    if tracked.removed_at is not None:
        return RetirementReason.UNKNOWN_TO_VENDOR
    if can_ask:
        return None
    if tracked.appointment and tracked.appointment.kind is not RecordKind.APPOINTMENT:
        # A listing holds it, as something else: nothing about it is absent.
        return RetirementReason.NOT_A_VISIT
    if _is_absent_twice(tracked, snapshot, policy):
        return RetirementReason.ABSENT_TWICE
    return None


def _reason_in(lookup: AppointmentLookup) -> RetirementReason | None:
    if lookup.stands:
        return None
    if not lookup.found:
        return RetirementReason.UNKNOWN_TO_VENDOR
    if lookup.deleted:
        return RetirementReason.DELETED_BY_VENDOR
    return RetirementReason.NOT_A_VISIT


def _is_absent_twice(tracked: TrackedCase, snapshot: Snapshot, policy: DeletionPolicy) -> bool:
    """Whether an earlier listing lacked the visit too; one listing is not two."""
    since = tracked.missing_since
    return (
        since is not None
        and since < snapshot.fetched_at
        and snapshot.fetched_at - since >= policy.absence_interval
        and not snapshot.hides_identities
    )


def _as_the_vendor_says(tracked: TrackedCase, lookup: AppointmentLookup) -> PimsAppointment | None:
    """The landed record with the looked-up time and status, or None when nothing differs."""
    landed = tracked.appointment
    if landed is None or lookup.scheduled_start is None or lookup.business_date is None:
        return None
    length = landed.scheduled_end - landed.scheduled_start
    seen = replace(
        landed,
        scheduled_start=lookup.scheduled_start,
        scheduled_end=lookup.scheduled_end or lookup.scheduled_start + length,
        business_date=lookup.business_date,
        status=lookup.status or landed.status,
    )
    return None if seen == landed else seen


def _hold(
    cases: Collection[TrackedCase], snapshot: Snapshot, orphans: int, policy: DeletionPolicy
) -> HoldReason | None:
    if snapshot.complete and must_hold_unseen(cases, snapshot):
        return HoldReason.EMPTY_LISTING
    if not policy.allows(orphans, len(cases)):
        return HoldReason.TOO_MANY_ORPHANS
    return None


def _counts(
    cases: Iterable[TrackedCase],
    *,
    retire: Iterable[Retirement],
    follow: Iterable[PimsAppointment],
    held: Collection[UUID],
    unconfirmed: Collection[UUID],
) -> dict[date, Counts]:
    retired = {each.case.id for each in retire}
    followed = {each.appointment_id for each in follow}
    # A year's window has many thousand cases, and any number of them may be held.
    held, unconfirmed = frozenset(held), frozenset(unconfirmed)

    def fate(case: Case) -> str:
        if case.id in retired:
            return "deleted"
        if case.id in held:
            return "held"
        if case.pims_id in followed:
            return "updated"
        return "skipped" if case.id in unconfirmed else "unchanged"

    return tally((tracked.case.scheduled_date, fate(tracked.case)) for tracked in cases)
