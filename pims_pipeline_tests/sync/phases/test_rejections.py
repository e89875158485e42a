"""Operators' rejections of holds."""

from datetime import timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import HoldDecided, hold_by_id, reject, waiting_hold
from pims_pipeline.store.rejections import kept_by, reopen
from pims_pipeline_tests.sync.bench import DAY, Bench, local
from pims_pipeline_tests.sync.phases.held import (
    approve,
    gone,
    held,
    reject_hold,
    stored_hold,
    waiting,
)


def test_a_rejected_hold_retires_nothing_and_cannot_be_approved(bench: Bench) -> None:
    hold_id = held(bench)
    with transaction(bench.engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=bench.clock())
    with pytest.raises(HoldDecided, match="rejected by Sam"):
        approve(bench, hold_id)
    assert gone(bench) == []


def test_rejected_deletions_are_not_held_again_and_the_audit_names_the_hold(
    bench: Bench,
) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    for run in range(2, 4):
        outcome = bench.in_run(f"run-{run}").reconcile()
        assert outcome.status is AuditStatus.COMPLETED
        assert (outcome.hold_id, outcome.kept_by_hold_id) == (None, hold_id)
        assert outcome.counts == Counts(found=12, held=8, unchanged=4)
        with transaction(bench.engine) as connection:
            assert kept_by(connection, outcome.audit_id) == hold_id
    assert waiting(bench) == []
    assert gone(bench) == []
    assert stored_hold(bench, hold_id).is_in_force


def test_fewer_missing_appointments_than_were_rejected_are_not_retired_either(
    bench: Bench,
) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    bench.in_run("run-2").inbound()
    outcome = bench.in_run("run-3").reconcile()
    # Four would be too few for the guard.
    assert (outcome.counts.deleted, outcome.counts.held, outcome.hold_id) == (0, 4, None)
    assert stored_hold(bench, hold_id).stay == {bench.case(str(n)).id for n in range(4, 8)}


def test_a_new_missing_appointment_beside_rejected_ones_is_held(bench: Bench) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    bench.vendor.delete("11")
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.hold_id is not None
    assert waiting(bench) == [outcome.hold_id]
    named = {str(bench.case(str(n)).id) for n in (*range(8), 11)}
    assert {str(each) for each in stored_hold(bench, outcome.hold_id).case_ids} == named
    # And approving it retires also what was rejected before.
    approve(bench, outcome.hold_id)
    assert sorted(gone(bench), key=int) == [str(n) for n in (*range(8), 11)]


def test_a_rejection_ends_when_the_appointments_are_back(bench: Bench) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    for number in range(8):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.kept_by_hold_id, outcome.counts) == (None, Counts(found=12, unchanged=12))
    assert not stored_hold(bench, hold_id).is_in_force
    for number in range(8):
        bench.vendor.delete(str(number))
    again = bench.in_run("run-3").reconcile()
    assert again.hold_id not in {None, hold_id}


def test_a_listing_with_the_appointment_ends_the_rejection_for_its_case(bench: Bench) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    bench.vendor.book("0", local(DAY, 8))
    bench.in_run("run-2").inbound()
    bench.vendor.delete("0")
    outcome = bench.in_run("run-3").reconcile()
    assert outcome.hold_id is not None
    assert stored_hold(bench, hold_id).ended == {bench.case("0").id}


def test_a_rejected_empty_calendar_is_not_held_again(bench: Bench) -> None:
    hold_id = held(bench, appointments=3, gone=3)
    reject_hold(bench, hold_id)
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.hold_id, outcome.counts) == (None, Counts(found=3, held=3))


def test_a_reconciliation_of_a_part_of_the_window_obeys_the_rejection(bench: Bench) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    outcome = bench.in_run("run-2").reconcile(DateRange(DAY, DAY + timedelta(days=1)))
    assert (outcome.hold_id, outcome.kept_by_hold_id) == (None, hold_id)
    assert gone(bench) == []


def test_after_a_rejection_is_reopened_the_deletions_are_held_again(bench: Bench) -> None:
    hold_id = held(bench)
    reject_hold(bench, hold_id)
    with transaction(bench.engine) as connection:
        reopen(connection, hold_by_id(connection, hold_id, lock=True))
    assert bench.in_run("run-2").reconcile().hold_id not in {None, hold_id}
