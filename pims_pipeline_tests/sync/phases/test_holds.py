"""Holds, and operators' approvals of them."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import (
    HoldDecided,
    UnknownHold,
    list_holds,
)
from pims_pipeline.sync.phases.reconciliation import WrongWindow
from pims_pipeline_tests.providers.fake import FakeProviderWithoutLookup
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local
from pims_pipeline_tests.sync.phases.held import (
    approve,
    gone,
    held,
    stored_hold,
)


def test_an_approved_hold_retires_exactly_its_cases(bench: Bench) -> None:
    hold_id = held(bench)
    outcome = approve(bench, hold_id)
    assert gone(bench) == [str(number) for number in range(8)]
    assert outcome.status is AuditStatus.COMPLETED
    hold = stored_hold(bench, hold_id)
    assert (hold.status, hold.decided_by) == ("approved", "Sam")
    assert hold.retired == hold.case_ids == frozenset(outcome.deleted_case_ids)
    assert hold.kept == {}


def test_an_approval_lists_the_calendar_again_and_records_what_differs(bench: Bench) -> None:
    hold_id = held(bench)
    bench.vendor.book("0", local(DAY, 8))
    bench.vendor.book("1", local(DAY + timedelta(days=90), 8))
    bench.vendor.delete("11")
    outcome = approve(bench, hold_id)
    assert gone(bench) == [str(number) for number in range(2, 8)]
    assert outcome.counts.deleted == 6
    kept = {str(bench.case(n).id): n for n in ("0", "1")}
    assert {
        kept[str(case_id)]: why for case_id, why in stored_hold(bench, hold_id).kept.items()
    } == {
        "0": "its appointment is at the vendor",
        "1": "its appointment moved or changed",
    }


def test_an_orphan_outside_the_hold_waits_for_the_next_reconciliation(
    bench: Bench,
) -> None:
    hold_id = held(bench)
    bench.vendor.delete("11")
    approve(bench, hold_id)
    assert bench.case("11").gone is None
    assert bench.in_run("run-9").reconcile().counts.deleted == 1


def test_an_empty_calendar_may_be_approved(bench: Bench) -> None:
    hold_id = held(bench, appointments=3, gone=3)
    assert stored_hold(bench, hold_id).reason == "empty_listing"
    approve(bench, hold_id)
    assert gone(bench) == ["0", "1", "2"]


def test_without_a_lookup_the_approval_replaces_the_second_listing(bench: Bench) -> None:
    bench.context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutLookup(bench.vendor)
    )
    hold_id = held(bench, appointments=3, gone=3)
    approve(bench, hold_id)
    assert gone(bench) == ["0", "1", "2"]
    assert bench.case("0").metadata["reconciliation"]["reason"] == "absent_approved"


def test_a_hold_is_decided_once(bench: Bench) -> None:
    hold_id = held(bench)
    approve(bench, hold_id)
    before = bench.everything()
    with pytest.raises(HoldDecided, match="approved by Sam"):
        approve(bench, hold_id)
    assert bench.everything() == before


def test_the_error_of_an_unknown_hold_names_the_command_that_lists_them(bench: Bench) -> None:
    with pytest.raises(UnknownHold, match="pims holds list"):
        approve(bench, uuid4())


def test_a_hold_is_not_approved_over_other_partitions(bench: Bench) -> None:
    hold_id = held(bench)
    with pytest.raises(WrongWindow, match="select exactly its partitions"):
        approve(bench, hold_id, DateRange(DAY, DAY))
    assert stored_hold(bench, hold_id).status == "open"


def test_a_hold_stays_open_when_its_approval_fails(bench: Bench) -> None:
    hold_id = held(bench)
    bench.vendor.fail_next(TransientError("asked for the calendar; got 503"), "listing")
    with pytest.raises(TransientError):
        approve(bench, hold_id)
    assert stored_hold(bench, hold_id).status == "open"
    assert gone(bench) == []


def test_the_same_orphans_keep_the_same_hold(bench: Bench) -> None:
    hold_id = held(bench)
    assert bench.in_run("run-2").reconcile().hold_id == hold_id


def test_other_orphans_supersede_the_hold(bench: Bench) -> None:
    hold_id = held(bench)
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
        approve(bench, hold_id)


def test_a_reconciliation_of_a_part_of_the_window_leaves_the_hold_open(bench: Bench) -> None:
    hold_id = held(bench)
    quiet = DateRange(WINDOW.start, WINDOW.start)
    assert bench.in_run("run-2").reconcile(quiet).hold_id is None
    assert stored_hold(bench, hold_id).status == "open"
