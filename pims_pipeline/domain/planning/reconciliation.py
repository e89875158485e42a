"""Phase 3: which active cases are orphans, and which of them are retired, kept or held.

Pure. A case is retired only if a complete listing lacks its appointment *and* that is confirmed:
by a lookup of the appointment, or by a second, later listing if the vendor has no lookup. A case
whose appointment is listed with resources that the clinic does not sync is retired as left out.
The reasons belong in ``retirement``; reading and writing in ``sync/phases``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.planning.rejections import Rejection, RejectionEffect, effect_of
from pims_pipeline.domain.planning.retirement import (
    Retirement,
    RetirementReason,
    TrackedCase,
    is_about_other_occurrences,
    listed_as_left_out,
    own_lookups,
    reason_if_approved,
    reason_to_retire,
    updated_by_lookup,
)
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Snapshot,
)
from pims_pipeline.domain.records.cases import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionPolicy:
    """How many cases may be retired at once without a person's approval.

    Attributes:
        min_orphans: The number that may always be retired.
        max_percent: The share of the window's active cases that may be retired at once.
        absence_interval: The least time between two listings that confirm an absence, if the
            vendor has no lookup.
    """

    min_orphans: int = 5
    max_percent: float = 30.0
    absence_interval: timedelta = timedelta(minutes=15)

    def allows(self, orphans: int, active: int) -> bool:
        """Whether ``orphans`` of ``active`` cases may be retired without a person's approval."""
        return orphans <= max(self.min_orphans, active * self.max_percent / 100)


class HoldReason(StrEnum):
    """Why the deletion guard opened a hold."""

    EMPTY_LISTING = "empty_listing"
    TOO_MANY_ORPHANS = "too_many_orphans"
    TOO_MANY_LEFT_OUT = "too_many_left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationPlan:
    """What the comparison of cases and calendar leads to.

    Attributes:
        retire: Cases to be soft-deleted; empty when the window is held.
        follow: Appointments that moved or changed: the landed records with the time and status of
            their lookups, to be applied like those of a listing.
        orphans: Every confirmed orphan, left-out ones included, retired or held.
        unconfirmed: Cases that the listing lacks and that could not be looked up; they are kept.
        hold: Set when the deletion guard opens a hold.
        kept: Orphans that stay because a person rejected their retirement.
        kept_by: The rejected hold that keeps them; the latest if there are several.
        ended: Cases of rejected holds whose appointment is back: the decision on them ends.
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
    """The cases that the listing should hold and does not, or holds as left out.

    A case that a later listing has shown is no candidate, nor is one whose record was listed but
    unreadable.
    """
    present = {
        appointment.appointment_id
        for appointment in snapshot.appointments
        if appointment.makes_case
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


def to_look_up(cases: Iterable[TrackedCase], snapshot: Snapshot) -> tuple[TrackedCase, ...]:
    """The candidates that only a lookup explains; the listing explains those that it leaves out."""
    left_out = listed_as_left_out(snapshot)
    return tuple(
        each for each in orphan_candidates(cases, snapshot) if each.case.pims_id not in left_out
    )


def must_hold_unseen(cases: Collection[TrackedCase], snapshot: Snapshot) -> bool:
    """Whether the listing is empty although there are cases: a hold without any lookup.

    Cases that a later listing has shown do not make an old, empty one suspicious.
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
    """Decide which cases are retired, follow their appointment, or stay.

    Args:
        cases: The window's active cases.
        snapshot: The listing; one that is not complete retires nothing.
        policy: The deletion guard's limits.
        lookups: The lookups of the candidates, by vendor identity; a candidate without one is
            unconfirmed. None when the vendor has no lookup.
        approved: The cases of an approved hold. The guard then opens no hold, and no other case
            is retired; the approved ones must still be missing.
        rejections: The rejected holds that still count. Their cases stay, and the guard opens no
            further hold for them alone.
        now: The present time (aware), not before the response came. Later times were written by
            a wrong clock and are ignored. None accepts every time.
    """
    if now is not None:
        cases = [tracked.as_of(now) for tracked in cases]
        rejections = [each.as_of(now) for each in rejections]
    found = _compare(cases, snapshot, policy, lookups, approved)
    decided = _decided(cases, snapshot, found, rejections if approved is None else ())
    hold = _hold(cases, snapshot, found.retire, policy) if approved is None else None
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
    """The cases that the listing lacks, by what the lookups show."""

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
    hold: HoldReason | None, orphans: tuple[UUID, ...], decided: RejectionEffect
) -> tuple[HoldReason | None, tuple[UUID, ...]]:
    """What is left of a hold, and which cases stay because an operator rejected one like it."""
    if hold is None:
        return None, tuple(case_id for case_id in orphans if case_id in decided.covered)
    return (None, orphans) if decided.covers_all(orphans, hold) else (hold, ())


def _changes(
    found: _Compared, kept: Collection[UUID]
) -> tuple[tuple[Retirement, ...], tuple[PimsAppointment, ...]]:
    """Which cases are retired and which follow their appointment, when nothing is held."""
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
    own = own_lookups(candidates, snapshot, lookups or {})
    left_out = listed_as_left_out(snapshot)
    found = _Compared(candidates, [], [], [])
    for tracked in candidates:
        lookup = own.get(tracked.case.pims_id)
        can_ask = lookups is not None and not is_about_other_occurrences(tracked, lookups, own)
        if tracked.case.pims_id in left_out:
            reason: RetirementReason | None = RetirementReason.LEFT_OUT
        else:
            reason = reason_to_retire(
                tracked, snapshot, policy.absence_interval, lookup, can_ask=can_ask
            )
        if approved is not None:
            reason = reason_if_approved(tracked, reason, approved, can_ask=can_ask)
        if reason is not None:
            known_at = tracked.removed_at or snapshot.fetched_at
            gone_at = lookup.asked_at if lookup else known_at
            found.retire.append(Retirement(case=tracked.case, reason=reason, gone_at=gone_at))
        elif lookup is None or not lookup.exists:
            found.unconfirmed.append(tracked)
        elif changed := updated_by_lookup(tracked, lookup):
            found.follow.append(changed)
    return found


def _decided(
    cases: Iterable[TrackedCase],
    snapshot: Snapshot,
    found: _Compared,
    rejections: Collection[Rejection],
) -> RejectionEffect:
    """The effect of earlier rejections on the cases; an incomplete listing ends no decision."""
    if not rejections or not snapshot.complete:
        return RejectionEffect({}, frozenset())
    missing = {each.case.id for each in found.retire}
    missing |= {each.case.id for each in found.unconfirmed}
    left_out = {each.case.id for each in found.retire if each.is_left_out}
    return effect_of(
        rejections,
        # Each listing shows a left-out appointment, which does not bring it back.
        [(each.case.id, None if each.case.id in left_out else each.last_seen_at) for each in cases],
        {each.case.id for each in cases} - missing,
    )


def _hold(
    cases: Collection[TrackedCase],
    snapshot: Snapshot,
    orphans: Sequence[Retirement],
    policy: DeletionPolicy,
) -> HoldReason | None:
    if snapshot.complete and must_hold_unseen(cases, snapshot):
        return HoldReason.EMPTY_LISTING
    if policy.allows(len(orphans), len(cases)):
        return None
    gone = sum(not each.is_left_out for each in orphans)
    # Without those that are left out, the guard would hold nothing.
    is_filter = policy.allows(gone, len(cases))
    return HoldReason.TOO_MANY_LEFT_OUT if is_filter else HoldReason.TOO_MANY_ORPHANS


def _counts(
    cases: Iterable[TrackedCase],
    *,
    retire: Iterable[Retirement],
    follow: Iterable[PimsAppointment],
    held: Collection[UUID],
    unconfirmed: Collection[UUID],
) -> dict[date, Counts]:
    retired = {each.case.id: "left_out" if each.is_left_out else "deleted" for each in retire}
    followed = {each.appointment_id for each in follow}
    # Sets, because the window of a year may have thousands of held cases.
    held, unconfirmed = frozenset(held), frozenset(unconfirmed)

    def result(case: Case) -> str:
        if case.id in retired:
            return retired[case.id]
        if case.id in held:
            return "held"
        if case.pims_id in followed:
            return "updated"
        return "skipped" if case.id in unconfirmed else "unchanged"

    return tally((tracked.case.scheduled_date, result(tracked.case)) for tracked in cases)
