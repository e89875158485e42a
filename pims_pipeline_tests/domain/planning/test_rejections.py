"""A rejected hold is remembered while the finding is the same, and no longer."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    HoldReason,
    ReconciliationPlan,
    plan_reconciliation,
)
from pims_pipeline.domain.planning.rejections import Rejection
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
    EIGHT,
    MINUTE,
    POLICY,
    appointment,
    listing,
    lookup,
    numbered,
    receipt,
    store_of,
    unknown,
)
from pims_pipeline_tests.domain.strategies import WEEK

HOLD = UUID(int=77)
DECIDED = EIGHT + 30 * MINUTE
NUMBERS = [f"{n:03}" for n in range(12)]


def rejection(
    store: MemoryStore,
    names: Collection[str],
    reason: HoldReason = HoldReason.TOO_MANY_ORPHANS,
    hold_id: UUID = HOLD,
    at: datetime = DECIDED,
) -> Rejection:
    return Rejection(
        hold_id=hold_id,
        reason=reason,
        case_ids=frozenset(store.identify(each) for each in names),
        decided_at=at,
    )


def plan_of(
    store: MemoryStore,
    gone: Collection[str],
    *rejections: Rejection,
    policy: DeletionPolicy = POLICY,
) -> ReconciliationPlan:
    """The plan when these appointments are missing and unknown to the vendor."""
    present = [each for each in numbered(12) if each.appointment_id not in gone]
    return plan_reconciliation(
        store.tracked(WEEK), listing(*present), policy, lookups=unknown(*gone),
        rejections=rejections,
    )  # fmt: skip


def named(store: MemoryStore, names: Collection[str]) -> set[UUID]:
    return {store.identify(each) for each in names}


def test_the_same_finding_opens_no_hold_again_and_its_cases_stay() -> None:
    store = store_of(*numbered(12))
    gone = NUMBERS[:8]
    assert plan_of(store, gone).hold is HoldReason.TOO_MANY_ORPHANS
    plan = plan_of(store, gone, rejection(store, gone))
    assert (plan.hold, plan.retire, plan.kept_by) == (None, (), HOLD)
    assert set(plan.kept) == named(store, gone)
    assert receipt(plan, store.tracked(WEEK)) == Counts(found=12, held=8, unchanged=4)


@given(
    gone=st.sets(st.sampled_from(NUMBERS)),
    rejected=st.sets(st.sampled_from(NUMBERS), min_size=1),
    reason=st.sampled_from(HoldReason),
    min_orphans=st.integers(0, 12),
)
def test_a_rejected_case_is_never_retired_and_a_hold_appears_only_for_a_new_finding(
    gone: set[str], rejected: set[str], reason: HoldReason, min_orphans: int
) -> None:
    store = store_of(*numbered(12))
    policy = DeletionPolicy(min_orphans=min_orphans, max_percent=0)
    without = plan_of(store, gone, policy=policy)
    plan = plan_of(store, gone, rejection(store, rejected, reason), policy=policy)
    retired = {each.case.id for each in plan.retire}
    assert not retired & named(store, rejected)
    assert receipt(plan, store.tracked(WEEK)).is_balanced
    assert set(plan.ended) == named(store, rejected - gone)
    if plan.hold is not None:
        assert plan.hold is without.hold
        assert not gone <= rejected or reason is not without.hold
        assert plan.orphans == without.orphans
    elif without.hold is not None:
        assert gone <= rejected
        assert set(plan.kept) == named(store, gone)
    else:
        assert retired == named(store, gone - rejected)
        assert set(plan.kept) == named(store, gone & rejected)


def test_one_more_missing_appointment_is_a_new_finding() -> None:
    store = store_of(*numbered(12))
    plan = plan_of(store, NUMBERS[:9], rejection(store, NUMBERS[:8]))
    assert plan.hold is HoldReason.TOO_MANY_ORPHANS
    assert set(plan.orphans) == named(store, NUMBERS[:9])
    assert (plan.kept, plan.kept_by) == ((), None)


def test_two_rejections_count_together_where_a_window_holds_both() -> None:
    store = store_of(*numbered(12))
    later = rejection(store, NUMBERS[4:8], hold_id=UUID(int=78), at=DECIDED + MINUTE)
    plan = plan_of(store, NUMBERS[:8], rejection(store, NUMBERS[:4]), later)
    assert (plan.hold, plan.kept_by) == (None, UUID(int=78))


def test_another_reason_is_another_finding() -> None:
    store = store_of(*numbered(3))
    everything = NUMBERS[:3]
    for reason in HoldReason:
        plan = plan_reconciliation(
            store.tracked(WEEK), listing(), POLICY, lookups={},
            rejections=[rejection(store, everything, reason)],
        )  # fmt: skip
        same = reason is HoldReason.EMPTY_LISTING
        assert plan.hold is (None if same else HoldReason.EMPTY_LISTING)
        assert receipt(plan, store.tracked(WEEK)) == Counts(found=3, held=3)
        assert plan.ended == ()


def test_a_case_that_returned_needs_a_new_decision_when_it_disappears_again() -> None:
    store = store_of(*numbered(12))
    rejected = rejection(store, NUMBERS[:8])
    back = store.plan_reconciliation(listing(*numbered(12)), POLICY, {})
    assert back.ended == ()
    seen_since = [
        replace(each, last_seen_at=DECIDED + MINUTE) if each.case.pims_id == "000" else each
        for each in store.tracked(WEEK)
    ]
    present = [each for each in numbered(12) if each.appointment_id not in NUMBERS[:8]]
    plan = plan_reconciliation(
        seen_since, listing(*present), POLICY, lookups=unknown(*NUMBERS[:8]),
        rejections=[rejected],
    )  # fmt: skip
    assert plan.hold is HoldReason.TOO_MANY_ORPHANS
    assert plan.ended == (store.identify("000"),)


def test_a_rejected_case_whose_appointment_moved_follows_it() -> None:
    store = store_of(*numbered(12))
    gone = NUMBERS[:8]
    moved = appointment("000").scheduled_start + timedelta(days=30)
    lookups = {
        **unknown(*gone[1:]),
        "000": lookup(
            "000", scheduled_start=moved, scheduled_end=moved, business_date=moved.date()
        ),
    }
    present = [each for each in numbered(12) if each.appointment_id not in gone]
    plan = plan_reconciliation(
        store.tracked(WEEK), listing(*present), POLICY, lookups=lookups,
        rejections=[rejection(store, gone)],
    )  # fmt: skip
    assert [each.appointment_id for each in plan.follow] == ["000"]
    assert plan.ended == (store.identify("000"),)
    assert set(plan.kept) == named(store, gone[1:])


def test_a_case_without_a_lookup_keeps_its_decision() -> None:
    store = store_of(*numbered(12))
    present = [each for each in numbered(12) if each.appointment_id not in NUMBERS[:8]]
    plan = plan_reconciliation(
        store.tracked(WEEK), listing(*present), POLICY, lookups={},
        rejections=[rejection(store, NUMBERS[:8])],
    )  # fmt: skip
    assert (plan.ended, plan.retire, plan.hold) == ((), (), None)


def test_an_approval_outweighs_an_earlier_rejection() -> None:
    store = store_of(*numbered(12))
    gone = NUMBERS[:8]
    present = [each for each in numbered(12) if each.appointment_id not in gone]
    plan = plan_reconciliation(
        store.tracked(WEEK), listing(*present), POLICY, lookups=unknown(*gone),
        approved=frozenset(named(store, gone)), rejections=[rejection(store, gone)],
    )  # fmt: skip
    assert {each.case.id for each in plan.retire} == named(store, gone)


def test_a_rejection_decided_in_the_future_still_ends() -> None:
    now = datetime(2026, 3, 6, tzinfo=UTC)
    ahead = rejection(MemoryStore(), ["a"], at=now + timedelta(days=400)).as_of(now)
    assert not ahead.covers(MemoryStore.identify("a"), now + MINUTE)
