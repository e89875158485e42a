"""A clinic that syncs some resources only: what its filter leaves out, over any history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.left_out import marked
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import PimsAppointment, Proof, RecordKind, Snapshot
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.inbound.listings import (
    APPOINTMENT,
    EIGHT,
    MINUTE,
    kinds,
    listing,
    moved,
)
from pims_pipeline_tests.domain.records.test_resources import (
    UNREADABLE,
    excluding,
    filters,
    including,
)
from pims_pipeline_tests.domain.strategies import WEEK, snapshots

NO_LIMIT = DeletionPolicy(max_percent=100)
HERE = replace(APPOINTMENT, resources=("room:1",))
"""In a room that the clinic syncs."""
THERE = replace(APPOINTMENT, resources=("room:2",), room="Room 2")
ROOM_1 = including("room:1")

held = st.none() | st.lists(
    st.sampled_from(("room:1", "room:2", "provider:1", *UNREADABLE)), max_size=2, unique=True
).map(tuple)


@dataclass(frozen=True)
class Sync:
    """A calendar, and the filter with which it is synced."""

    calendar: tuple[PimsAppointment, ...]
    resources: ResourceFilter


@st.composite
def calendars(draw: st.DrawFn) -> tuple[PimsAppointment, ...]:
    listed = draw(snapshots(ids=st.sampled_from("abcd"), max_quarantined=0)).appointments
    return tuple(replace(each, resources=draw(held)) for each in listed)


@st.composite
def histories(draw: st.DrawFn) -> list[Sync]:
    """Syncs of calendars that often are as before; the filter may change at each."""
    some = draw(st.lists(calendars(), min_size=1, max_size=2))
    return draw(st.lists(st.builds(Sync, st.sampled_from(some), filters), min_size=1, max_size=4))


def listed(sync: Sync, number: int) -> Snapshot:
    return marked(
        Snapshot(
            window=WEEK,
            appointments=sync.calendar,
            fetched_at=EIGHT + timedelta(minutes=20 * number),
            proof=Proof.ONE_RESPONSE,
        ),
        sync.resources,
    )


def synced(store: MemoryStore, snapshot: Snapshot) -> dict[str, RetirementReason]:
    """Inbound, then reconciliation of a vendor without lookups; returns what was retired."""
    store.receive(snapshot)
    plan = store.plan_reconciliation(snapshot, NO_LIMIT, None)
    assert plan.hold is None or not snapshot.appointments
    if plan.hold is None:
        store.apply_reconciliation(plan, WEEK, snapshot.fetched_at)
    return {each.case.pims_id: each.reason for each in plan.retire}


def store_after(history: Sequence[Sync]) -> MemoryStore:
    store = MemoryStore()
    for number, sync in enumerate(history):
        synced(store, listed(sync, number))
    return store


def active(store: MemoryStore) -> dict[str, Any]:
    return {name: case for name, case in store.cases.items() if not case.soft_deleted}


@given(histories())
def test_the_cases_are_those_of_the_appointments_that_the_filter_keeps(
    history: list[Sync],
) -> None:
    store, last = store_after(history), history[-1]
    wanted = {
        each.appointment_id
        for each in last.calendar
        if each.kind is RecordKind.APPOINTMENT and not last.resources.leaves_out(each.resources)
    }
    assert wanted <= set(active(store))
    listed_too = {each.appointment_id for each in last.calendar}
    assert set(active(store)) & listed_too == wanted


@given(histories())
def test_no_case_of_an_appointment_that_the_filter_keeps_is_retired_as_left_out(
    history: list[Sync],
) -> None:
    store = MemoryStore()
    for number, sync in enumerate(history):
        retired = synced(store, listed(sync, number))
        by_id = {each.appointment_id: each for each in sync.calendar}
        for name, reason in retired.items():
            left_out = name in by_id and sync.resources.leaves_out(by_id[name].resources)
            is_appointment = name in by_id and by_id[name].kind is RecordKind.APPOINTMENT
            assert (reason is RetirementReason.LEFT_OUT) is (left_out and is_appointment)


@given(calendars(), filters, filters)
def test_one_filter_after_another_leads_to_what_the_second_alone_leads_to(
    calendar: tuple[PimsAppointment, ...], first: ResourceFilter, second: ResourceFilter
) -> None:
    both = store_after([Sync(calendar, first), Sync(calendar, second)])
    alone = store_after([Sync(calendar, second)])
    assert active(both) == active(alone)
    placed = {name: (row.appointment, row.digest) for name, row in both.landed.items()}
    assert placed == {name: (row.appointment, row.digest) for name, row in alone.landed.items()}


@given(histories())
def test_syncing_again_with_the_same_filter_plans_nothing(history: list[Sync]) -> None:
    store, last = store_after(history), listed(history[-1], len(history))
    assert store.plan(last).is_empty
    # What is absent a second time may still be retired, for that reason.
    again = store.plan_reconciliation(last, NO_LIMIT, None)
    assert not any(each.is_left_out for each in again.retire)


@given(histories())
def test_receipts_balance_and_count_what_is_left_out(history: list[Sync]) -> None:
    store = MemoryStore()
    for number, sync in enumerate(history):
        snapshot = listed(sync, number)
        plan = store.receive(snapshot)
        outcome = PhaseOutcome(
            sync_type=Phase.INBOUND,
            window=WEEK,
            audit_id=store.identify("audit"),
            by_date=plan.by_date,
            duration_ms=0,
        )
        assert outcome.counts.found == len(snapshot.appointments)
        assert outcome.counts.left_out == sum(each.left_out for each in snapshot.appointments)


def test_an_appointment_in_a_room_that_is_not_synced_is_landed_and_makes_no_case() -> None:
    store = MemoryStore()
    plan = store.receive(marked(listing(THERE), ROOM_1))
    assert (kinds(plan), set(store.landed), store.cases) == ([], {"a"}, {})
    assert store.landed["a"].appointment.left_out


def test_a_block_is_blocked_and_not_left_out() -> None:
    block = replace(THERE, kind=RecordKind.BLOCK)
    assert marked(listing(block), ROOM_1) == listing(block)


def test_a_filter_that_was_a_mistake_changes_no_edit_of_a_user() -> None:
    store = MemoryStore()
    store.receive(listing(HERE))
    store.edit("a", patient_name="Corrected", status=CaseStatus.COMPLETED)
    before = dict(store.cases)
    store.receive(marked(listing(HERE, at=10), excluding("room:1")))
    assert store.landed["a"].appointment.left_out
    plan = store.receive(listing(HERE, at=20))
    assert (store.cases, plan.case_writes) == (before, ())
    assert not store.landed["a"].appointment.left_out


def test_a_case_follows_what_changed_while_its_appointment_was_left_out() -> None:
    store = MemoryStore()
    store.receive(listing(HERE))
    later = moved(replace(HERE, status="In Progress"), timedelta(days=1))
    for at in (10, 20):
        store.receive(marked(listing(later, at=at), excluding("room:1")))
        assert store.cases["a"].scheduled_start == HERE.scheduled_start
    plan = store.receive(listing(later, at=30))
    assert (plan.landings, store.cases["a"].status) == ((), CaseStatus.ONGOING)
    assert store.cases["a"].scheduled_start == later.scheduled_start
    assert store.plan(listing(later, at=40)).is_empty


def test_a_status_that_changed_while_left_out_and_back_is_kept_as_users_set_it() -> None:
    store = MemoryStore()
    store.receive(listing(HERE))
    store.edit("a", status=CaseStatus.COMPLETED)
    away = replace(HERE, status="In Progress")
    store.receive(marked(listing(away, at=10), excluding("room:1")))
    store.receive(listing(HERE, at=20))
    assert store.cases["a"].status is CaseStatus.COMPLETED


def test_a_case_that_was_made_before_its_appointment_was_ever_landed_follows_it_later() -> None:
    store = MemoryStore()
    store.receive(listing(HERE))
    adopted = replace(store.cases["a"], patient_name="Another system's")
    store = MemoryStore(cases={"a": adopted})
    store.receive(marked(listing(HERE, at=10), excluding("room:1")))
    store.receive(listing(HERE, at=20))
    assert store.cases["a"].patient_name == HERE.patient.name


def test_another_room_with_the_same_name_is_noted_without_a_write_to_the_case() -> None:
    store = MemoryStore()
    store.receive(listing(HERE))
    plan = store.receive(listing(replace(HERE, resources=("room:3",)), at=10))
    assert (plan.landings, plan.case_writes, len(plan.placements)) == ((), (), 1)
    assert store.landed["a"].appointment.resources == ("room:3",)


def test_what_is_left_out_has_no_unknown_status() -> None:
    odd = replace(THERE, status="gone fishing")
    assert MemoryStore().plan(marked(listing(odd), ROOM_1)).unknown_statuses == ()
    assert MemoryStore().plan(marked(listing(odd), ALL_RESOURCES)).unknown_statuses != ()


def test_minutes_are_enough_for_two_listings() -> None:
    assert timedelta(minutes=20) >= NO_LIMIT.absence_interval > MINUTE
