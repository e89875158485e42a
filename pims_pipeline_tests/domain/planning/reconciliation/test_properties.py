"""What holds for any listings and lookups."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    plan_reconciliation,
)
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Proof,
    RecordKind,
    Snapshot,
)
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
    EIGHT,
    MINUTE,
    lookup,
    receipt,
    retired,
)
from pims_pipeline_tests.domain.strategies import WEEK, snapshots

policies = st.builds(
    DeletionPolicy,
    min_orphans=st.integers(0, 4),
    max_percent=st.floats(0, 100),
    absence_interval=st.sampled_from([timedelta(0), 15 * MINUTE]),
)


NO_GUARD = DeletionPolicy(min_orphans=10**9, max_percent=100, absence_interval=timedelta(0))


@st.composite
def lookups_of(draw: st.DrawFn) -> dict[str, AppointmentLookup] | None:
    """Lookups of some of the appointments a to f, or None."""
    if draw(st.booleans()):
        return None
    fields = st.fixed_dictionaries(
        {},
        optional={
            "found": st.booleans(),
            "deleted": st.booleans(),
            "kind": st.sampled_from(RecordKind),
            "status": st.sampled_from(["Cancelled", "Confirmed", None]),
            "scheduled_start": st.sampled_from([None, EIGHT, EIGHT + timedelta(days=30)]),
        },
    )
    return {
        pims_id: lookup(pims_id, **draw(fields))
        for pims_id in draw(st.sets(st.sampled_from("abcdef")))
    }


def generated_stores() -> st.SearchStrategy[tuple[MemoryStore, Snapshot]]:
    """A store after two listings, and a third listing, all within an hour."""

    def history(listings: list[Snapshot], minutes: list[int]) -> tuple[MemoryStore, Snapshot]:
        timed = [
            replace(each, fetched_at=EIGHT + minute * MINUTE)
            for each, minute in zip(listings, minutes, strict=True)
        ]
        store = MemoryStore()
        for each in timed[:2]:
            store.receive(each)
        return store, timed[2]

    minutes = st.lists(st.integers(0, 60), min_size=3, max_size=3)
    return st.builds(history, st.lists(snapshots(), min_size=3, max_size=3), minutes)


@given(generated_stores(), policies, lookups_of())
def test_an_existing_appointment_is_never_retired_and_never_more_than_allowed(
    before: tuple[MemoryStore, Snapshot],
    policy: DeletionPolicy,
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    store, snapshot = before
    tracked = store.tracked(WEEK)
    plan = plan_reconciliation(tracked, snapshot, policy, lookups=lookups)
    listed = {a.appointment_id for a in snapshot.appointments if a.kind is RecordKind.APPOINTMENT}
    existing_ids = {pims_id for pims_id, found in (lookups or {}).items() if found.exists}
    seen_since = {
        each.case.pims_id
        for each in tracked
        if each.last_seen_at and each.last_seen_at > snapshot.fetched_at
    }
    assert not set(retired(plan)) & (listed | existing_ids | seen_since)
    assert len(plan.retire) <= max(policy.min_orphans, policy.max_percent / 100 * len(tracked))
    if plan.hold or not snapshot.complete:
        assert plan.is_empty
    receipt(plan, tracked)
    assert set(plan.by_date) <= set(WEEK)


@given(
    generated_stores(),
    lookups_of(),
    st.none() | st.frozensets(st.sampled_from("abcdef").map(MemoryStore.identify)),
)
def test_a_listing_without_a_proof_retires_nothing_even_without_a_guard(
    before: tuple[MemoryStore, Snapshot],
    lookups: dict[str, AppointmentLookup] | None,
    approved: frozenset[UUID] | None,
) -> None:
    """Not when every missing appointment is looked up in vain, nor when a person approves it."""
    store, snapshot = before
    snapshot = replace(snapshot, proof=None)
    everyone = {each.case.id for each in store.tracked(WEEK)}
    plan = plan_reconciliation(
        store.tracked(WEEK), snapshot, NO_GUARD, lookups=lookups, approved=approved
    )
    assert (plan.retire, plan.follow, plan.orphans, plan.hold) == ((), (), (), None)
    assert store.plan(snapshot).missing == ()
    store.receive(snapshot)
    assert everyone <= {each.case.id for each in store.tracked(WEEK)}


@given(generated_stores(), st.sampled_from(Proof))
def test_every_proof_is_as_good_as_any_other(
    before: tuple[MemoryStore, Snapshot], proof: Proof
) -> None:
    store, snapshot = before
    plans = [
        plan_reconciliation(
            store.tracked(WEEK), replace(snapshot, proof=each), NO_GUARD, lookups=None
        )
        for each in (proof, Proof.ONE_RESPONSE)
    ]
    assert plans[0] == plans[1]


@given(generated_stores(), policies, lookups_of())
def test_planning_after_applying_is_empty(
    before: tuple[MemoryStore, Snapshot],
    policy: DeletionPolicy,
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    store, snapshot = before
    store.receive(snapshot)
    plan = store.plan_reconciliation(snapshot, policy, lookups)
    store.apply_reconciliation(plan, WEEK, EIGHT + 61 * MINUTE)
    assert store.plan_reconciliation(snapshot, policy, lookups).is_empty
    assert store.plan(snapshot).is_empty
