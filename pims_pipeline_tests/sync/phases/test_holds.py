"""What a person decides on deletions that the guard kept from being made."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts, PhaseOutcome
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import (
    Hold,
    HoldDecided,
    UnknownHold,
    hold_by_id,
    list_holds,
    reject,
    waiting_hold,
)
from pims_pipeline.store.rejections import kept_by, reopen
from pims_pipeline.sync.phases.reconciliation import Approval, WrongWindow, reconcile_cases
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.providers.fake import FakeProviderWithoutLookup
from pims_pipeline_tests.sync.conftest import DAY, WINDOW, Bench, local


def _held(bench: Bench, appointments: int = 12, gone: int = 8) -> UUID:
    for number in range(appointments):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    bench.in_run("run-0").inbound()
    for number in range(gone):
        bench.vendor.delete(str(number))
    outcome = bench.in_run("run-1").reconcile()
    assert outcome.hold_id is not None
    return outcome.hold_id


def _approve(bench: Bench, hold_id: UUID, window: DateRange = WINDOW) -> PhaseOutcome:
    with clinic_session(bench.context, bench.clinic) as session:
        return reconcile_cases(
            bench.context, bench.clinic, window, session, approval=Approval(hold_id, "Sam")
        )


def _hold(bench: Bench, hold_id: UUID) -> Hold:
    with transaction(bench.engine) as connection:
        return hold_by_id(connection, hold_id)


def _gone(bench: Bench) -> list[str]:
    rows = bench.rows(
        "SELECT pims_id FROM cases WHERE metadata #>> '{reconciliation,softDeleted}' = 'true' "
        "ORDER BY pims_id"
    )
    return [str(row.pims_id) for row in rows]


def test_an_approved_hold_retires_exactly_its_cases(bench: Bench) -> None:
    hold_id = _held(bench)
    outcome = _approve(bench, hold_id)
    assert _gone(bench) == [str(number) for number in range(8)]
    assert outcome.status is AuditStatus.COMPLETED
    hold = _hold(bench, hold_id)
    assert (hold.status, hold.decided_by) == ("approved", "Sam")
    assert hold.retired == hold.case_ids == frozenset(outcome.deleted_case_ids)
    assert hold.kept == {}


def test_approval_reads_the_calendar_anew_and_says_what_differed(bench: Bench) -> None:
    hold_id = _held(bench)
    bench.vendor.book("0", local(DAY, 8))
    bench.vendor.book("1", local(DAY + timedelta(days=90), 8))
    bench.vendor.delete("11")
    outcome = _approve(bench, hold_id)
    assert _gone(bench) == [str(number) for number in range(2, 8)]
    assert outcome.counts.deleted == 6
    kept = {str(bench.case(n).id): n for n in ("0", "1")}
    assert {kept[str(case_id)]: why for case_id, why in _hold(bench, hold_id).kept.items()} == {
        "0": "its appointment is at the vendor",
        "1": "its appointment moved or changed",
    }


def test_an_orphan_that_the_hold_does_not_name_waits_for_the_next_look(bench: Bench) -> None:
    hold_id = _held(bench)
    bench.vendor.delete("11")
    _approve(bench, hold_id)
    assert bench.case("11").gone is None
    assert bench.in_run("run-9").reconcile().counts.deleted == 1


def test_an_empty_calendar_may_be_approved(bench: Bench) -> None:
    hold_id = _held(bench, appointments=3, gone=3)
    assert _hold(bench, hold_id).reason == "empty_listing"
    _approve(bench, hold_id)
    assert _gone(bench) == ["0", "1", "2"]


def test_without_look_up_the_persons_word_stands_for_the_second_listing(bench: Bench) -> None:
    bench.context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutLookup(bench.vendor)
    )
    hold_id = _held(bench, appointments=3, gone=3)
    _approve(bench, hold_id)
    assert _gone(bench) == ["0", "1", "2"]
    assert bench.case("0").metadata["reconciliation"]["reason"] == "absent_approved"


def test_a_hold_is_decided_once(bench: Bench) -> None:
    hold_id = _held(bench)
    _approve(bench, hold_id)
    before = bench.everything()
    with pytest.raises(HoldDecided, match="approved by Sam"):
        _approve(bench, hold_id)
    assert bench.everything() == before


def test_a_rejected_hold_retires_nothing_and_cannot_be_approved(bench: Bench) -> None:
    hold_id = _held(bench)
    with transaction(bench.engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=bench.clock())
    with pytest.raises(HoldDecided, match="rejected by Sam"):
        _approve(bench, hold_id)
    assert _gone(bench) == []


def _reject(bench: Bench, hold_id: UUID) -> None:
    with transaction(bench.engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=bench.clock())


def _waiting(bench: Bench) -> list[UUID]:
    with transaction(bench.engine) as connection:
        return [each.id for each in list_holds(connection)]


def test_a_rejected_finding_is_not_held_again_and_the_audit_says_whose_decision_it_is(
    bench: Bench,
) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    for run in range(2, 4):
        outcome = bench.in_run(f"run-{run}").reconcile()
        assert outcome.status is AuditStatus.COMPLETED
        assert (outcome.hold_id, outcome.kept_by_hold_id) == (None, hold_id)
        assert outcome.counts == Counts(found=12, held=8, unchanged=4)
        with transaction(bench.engine) as connection:
            assert kept_by(connection, outcome.audit_id) == hold_id
    assert _waiting(bench) == []
    assert _gone(bench) == []
    assert _hold(bench, hold_id).is_in_force


def test_fewer_missing_appointments_than_were_rejected_are_not_retired_either(
    bench: Bench,
) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    bench.in_run("run-2").inbound()
    outcome = bench.in_run("run-3").reconcile()
    # Four would be too few for the guard.
    assert (outcome.counts.deleted, outcome.counts.held, outcome.hold_id) == (0, 4, None)
    assert _hold(bench, hold_id).stay == {bench.case(str(n)).id for n in range(4, 8)}


def test_a_new_missing_appointment_beside_rejected_ones_is_held(bench: Bench) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    bench.vendor.delete("11")
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.hold_id is not None
    assert _waiting(bench) == [outcome.hold_id]
    named = {str(bench.case(str(n)).id) for n in (*range(8), 11)}
    assert {str(each) for each in _hold(bench, outcome.hold_id).case_ids} == named
    # And approving it retires also what was rejected before.
    _approve(bench, outcome.hold_id)
    assert sorted(_gone(bench), key=int) == [str(n) for n in (*range(8), 11)]


def test_a_rejection_ends_with_the_finding(bench: Bench) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    for number in range(8):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.kept_by_hold_id, outcome.counts) == (None, Counts(found=12, unchanged=12))
    assert not _hold(bench, hold_id).is_in_force
    for number in range(8):
        bench.vendor.delete(str(number))
    again = bench.in_run("run-3").reconcile()
    assert again.hold_id not in {None, hold_id}


def test_an_appointment_seen_by_a_listing_alone_ends_the_decision_on_it(bench: Bench) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    bench.vendor.book("0", local(DAY, 8))
    bench.in_run("run-2").inbound()
    bench.vendor.delete("0")
    outcome = bench.in_run("run-3").reconcile()
    assert outcome.hold_id is not None
    assert _hold(bench, hold_id).ended == {bench.case("0").id}


def test_a_rejected_empty_calendar_is_not_held_again(bench: Bench) -> None:
    hold_id = _held(bench, appointments=3, gone=3)
    _reject(bench, hold_id)
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.hold_id, outcome.counts) == (None, Counts(found=3, held=3))


def test_a_look_at_a_part_of_the_window_keeps_to_the_decision(bench: Bench) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    outcome = bench.in_run("run-2").reconcile(DateRange(DAY, DAY + timedelta(days=1)))
    assert (outcome.hold_id, outcome.kept_by_hold_id) == (None, hold_id)
    assert _gone(bench) == []


def test_a_rejection_taken_back_lets_the_finding_be_held_again(bench: Bench) -> None:
    hold_id = _held(bench)
    _reject(bench, hold_id)
    with transaction(bench.engine) as connection:
        reopen(connection, hold_by_id(connection, hold_id, lock=True))
    assert bench.in_run("run-2").reconcile().hold_id not in {None, hold_id}


def test_an_unknown_hold_is_told_the_command_that_lists_them(bench: Bench) -> None:
    with pytest.raises(UnknownHold, match="pims holds list"):
        _approve(bench, uuid4())


def test_a_hold_is_not_approved_over_other_partitions(bench: Bench) -> None:
    hold_id = _held(bench)
    with pytest.raises(WrongWindow, match="select exactly its partitions"):
        _approve(bench, hold_id, DateRange(DAY, DAY))
    assert _hold(bench, hold_id).status == "open"


def test_a_hold_stays_open_when_its_approval_fails(bench: Bench) -> None:
    hold_id = _held(bench)
    bench.vendor.fail_next(TransientError("asked for the calendar; got 503"), "listing")
    with pytest.raises(TransientError):
        _approve(bench, hold_id)
    assert _hold(bench, hold_id).status == "open"
    assert _gone(bench) == []


def test_the_same_finding_keeps_the_same_hold(bench: Bench) -> None:
    hold_id = _held(bench)
    assert bench.in_run("run-2").reconcile().hold_id == hold_id


def test_another_finding_supersedes_the_hold(bench: Bench) -> None:
    hold_id = _held(bench)
    bench.vendor.delete("11")
    newer = bench.in_run("run-2").reconcile().hold_id
    assert newer != hold_id
    with transaction(bench.engine) as connection:
        assert [each.id for each in list_holds(connection)] == [newer]
        assert {each.id: each.status for each in list_holds(connection, waiting_only=False)} == {
            hold_id: "superseded",
            newer: "open",
        }
    with pytest.raises(HoldDecided, match="superseded"):
        _approve(bench, hold_id)


def test_a_look_at_a_part_of_the_window_leaves_the_hold_open(bench: Bench) -> None:
    hold_id = _held(bench)
    quiet = DateRange(WINDOW.start, WINDOW.start)
    assert bench.in_run("run-2").reconcile(quiet).hold_id is None
    assert _hold(bench, hold_id).status == "open"
