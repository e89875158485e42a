"""What holds for any listings, applied in any order."""

from dataclasses import replace
from datetime import datetime
from itertools import permutations
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.case_writes import case_changes
from pims_pipeline.domain.records.appointments import (
    PimsAppointment,
    Proof,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import EventKind, draft_of
from pims_pipeline.domain.records.words import CaseStatus, status_of
from pims_pipeline_tests.domain.memory import MemoryStore, store_after
from pims_pipeline_tests.domain.planning.inbound.listings import APPOINTMENT, EIGHT, MINUTE, listing
from pims_pipeline_tests.domain.strategies import snapshots


def histories(proof: SearchStrategy[Proof | None] | None = None) -> SearchStrategy[list[Snapshot]]:
    """Listings of the same week and appointments, each fetched at another time, in any order."""

    def timed(listings: list[Snapshot], minutes: list[int]) -> list[Snapshot]:
        return [
            replace(each, fetched_at=EIGHT + minute * MINUTE)
            for each, minute in zip(listings, minutes, strict=False)
        ]

    some = snapshots(proof=proof) if proof is not None else snapshots()
    return st.builds(timed, st.lists(some, min_size=1, max_size=4), st.permutations(range(4)))


@given(histories())
def test_planning_after_applying_is_empty(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        store.receive(snapshot)
        assert store.plan(snapshot).is_empty


@given(histories())
def test_applying_every_listing_twice_leaves_nothing_to_plan(history: list[Snapshot]) -> None:
    # The first time, an appointment of an older listing that is applied later cannot be marked
    # as missing.
    store = store_after([*history, *history])
    assert all(store.plan(snapshot).is_empty for snapshot in history)


@given(histories())
def test_every_receipt_balances_within_the_window(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        plan = store.receive(snapshot)
        outcome = PhaseOutcome(
            sync_type=Phase.INBOUND,
            window=snapshot.window,
            audit_id=UUID(int=1),
            by_date=plan.by_date,
            duration_ms=0,
        )
        written = [write.kind for write in plan.case_writes]
        assert outcome.counts.found == len(snapshot.appointments) + len(snapshot.quarantined)
        assert outcome.counts.quarantined == len(snapshot.quarantined)
        assert outcome.counts.created == written.count(EventKind.CREATED)
        assert outcome.counts.restored == written.count(EventKind.RESTORED)
        assert set(plan.by_date) <= set(snapshot.window)


@given(histories())
def test_what_is_known_only_ever_grows_newer(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        before = dict(store.landed)
        store.receive(snapshot)
        for pims_id, row in before.items():
            now = store.landed[pims_id]
            assert now.last_seen_at >= row.last_seen_at
            assert now.fetched_at >= row.fetched_at
            if row.missing_since and now.missing_since is None:
                assert now.last_seen_at >= row.missing_since
            if now.missing_since and row.missing_since is None:
                assert now.missing_since > now.last_seen_at


@given(histories())
def test_a_case_says_what_its_landed_appointment_says(history: list[Snapshot]) -> None:
    store = store_after(history)
    for pims_id, row in store.landed.items():
        if row.appointment.kind is RecordKind.APPOINTMENT:
            case, draft = store.cases[pims_id], draft_of(row.appointment)
            species = draft.patient_species or case.patient_species
            assert not case_changes(case, replace(draft, patient_species=species))
            assert case.id == store.identify(pims_id)
    assert set(store.cases) <= set(store.landed)


@given(histories(proof=st.none()))
def test_in_any_order_the_newest_record_of_each_appointment_wins(history: list[Snapshot]) -> None:
    newest: dict[str, tuple[datetime, PimsAppointment]] = {}
    for snapshot in sorted(history, key=lambda each: each.fetched_at):
        newest |= {a.appointment_id: (snapshot.fetched_at, a) for a in snapshot.appointments}
    for order in permutations(history):
        store = store_after(order)
        landed = {
            pims_id: (row.last_seen_at, row.appointment) for pims_id, row in store.landed.items()
        }
        assert landed == newest


@given(histories())
def test_in_any_order_the_newest_listing_is_applied_whole(history: list[Snapshot]) -> None:
    newest = max(history, key=lambda each: each.fetched_at)
    for order in permutations(history):
        store = store_after(order)
        for appointment in newest.appointments:
            row = store.landed[appointment.appointment_id]
            assert row.appointment == appointment
            assert (row.last_seen_at, row.missing_since) == (newest.fetched_at, None)


@given(histories(), st.data())
def test_a_user_s_status_survives_every_listing_that_means_the_same(
    history: list[Snapshot], data: st.DataObject
) -> None:
    store = store_after(history[:1])
    assume(store.cases)
    pims_id = data.draw(st.sampled_from(sorted(store.cases)))
    meant = status_of(store.cases[pims_id].facts["status"]) or CaseStatus.DRAFT
    chosen = data.draw(st.sampled_from(CaseStatus))
    store.edit(pims_id, status=chosen)
    for snapshot in history[1:]:
        store.receive(snapshot)
        now = status_of(store.cases[pims_id].facts["status"]) or CaseStatus.DRAFT
        if now is not meant:
            assert store.cases[pims_id].status is now
            return
        assert store.cases[pims_id].status is chosen


@given(snapshots(proof=st.sampled_from(Proof)))
def test_only_identities_proven_absent_are_marked_missing(snapshot: Snapshot) -> None:
    everyone = [replace(APPOINTMENT, appointment_id=pims_id) for pims_id in "abcdef"]
    store = store_after([replace(listing(*everyone), fetched_at=snapshot.fetched_at - MINUTE)])
    plan = store.plan(snapshot)
    there = {each.appointment_id for each in snapshot.appointments}
    there |= {each.pims_id for each in snapshot.quarantined if each.pims_id}
    absent = set() if snapshot.hides_identities else set("abcdef") - there
    assert set(plan.missing) == absent
