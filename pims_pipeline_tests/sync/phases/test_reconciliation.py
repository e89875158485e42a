"""Phase 3: which cases are retired, and above all which are not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.records.appointments import QuarantinedRecord, RecordKind
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.sync.phases.verification import live_cases_deleted, replan_reconciliation
from pims_pipeline_tests.providers.fake import FakeProviderWithoutLookup
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


def _booked(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    bench.in_run("run-0").inbound()


def test_a_case_whose_appointment_is_gone_is_retired_with_the_reason(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1")
    outcome = bench.reconcile()
    case = bench.case("1")
    assert case.status == "reviewed"
    assert case.metadata["reconciliation"]["softDeleted"] is True
    assert case.metadata["reconciliation"]["reason"] == "unknown_to_vendor"
    assert outcome.deleted_case_ids == (case.id,)
    assert outcome.by_date[DAY] == Counts(found=3, unchanged=2, deleted=1)
    assert bench.events("1") == ["created", "soft_deleted"]


def test_reconciling_again_changes_nothing(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1", leave_trace=True)
    bench.reconcile()
    before = bench.everything()
    assert bench.reconcile().counts == Counts(found=2, unchanged=2)
    assert bench.everything() == before
    plan = replan_reconciliation(
        bench.engine, bench.clinic, WINDOW, policy=bench.context.deletion_policy
    )
    assert plan.is_empty
    assert live_cases_deleted(bench.engine, bench.clinic, WINDOW) == []


def test_an_appointment_that_comes_back_brings_its_case_back(bench: Bench) -> None:
    _booked(bench, 3)
    appointment = bench.vendor.delete("1")
    for number in range(3):
        bench.in_run(f"retiring-{number}").reconcile()
        assert bench.case("1").gone == "true"
        bench.vendor.put(appointment)
        assert bench.inbound().counts == Counts(found=3, unchanged=2, restored=1)
        case = bench.case("1")
        assert (case.gone, case.status) == (None, "draft")
        assert "reconciliation" not in case.metadata
        bench.vendor.delete("1")


def test_a_returned_appointment_is_no_violation_before_phase_one_has_run(bench: Bench) -> None:
    _booked(bench, 3)
    appointment = bench.vendor.delete("1")
    bench.reconcile()
    bench.vendor.put(appointment)
    bench.in_run("run-2").reconcile()
    assert live_cases_deleted(bench.engine, bench.clinic, WINDOW) == []
    assert bench.inbound().counts.restored == 1


def test_an_appointment_moved_out_of_the_window_is_followed_never_deleted(bench: Bench) -> None:
    _booked(bench, 3)
    far = DAY + timedelta(days=60)
    bench.vendor.move("1", local(far, 10))
    outcome = bench.reconcile()
    case = bench.case("1")
    assert (case.scheduled_date, case.gone, case.status) == (far, None, "draft")
    assert outcome.by_date[DAY] == Counts(found=3, unchanged=2, updated=1)
    assert bench.events("1") == ["created", "rescheduled"]


def test_an_appointment_that_became_a_block_is_retired(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.put(replace(bench.vendor.appointments["1"], kind=RecordKind.BLOCK))
    bench.reconcile()
    assert bench.case("1").metadata["reconciliation"]["reason"] == "not_an_appointment"


def test_a_listing_that_fails_deletes_nothing(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.appointments.clear()
    before = bench.everything()
    bench.vendor.fail_next(ContractViolation("asked for the calendar; got a page"), "listing")
    with pytest.raises(ContractViolation):
        bench.in_run("run-2").reconcile()
    assert bench.everything() == before


def test_an_incomplete_listing_deletes_nothing(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1")
    bench.vendor.listing_complete = False
    before = bench.everything()
    with pytest.raises(ContractViolation):
        bench.in_run("run-2").reconcile()
    assert bench.everything() == before


def test_an_empty_listing_holds_and_sends_the_vendor_no_lookup(bench: Bench) -> None:
    _booked(bench, 2)
    bench.vendor.appointments.clear()
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.status is AuditStatus.HELD
    assert outcome.hold_reason == "empty_listing"
    assert [bench.case(n).gone for n in ("0", "1")] == [None, None]
    assert bench.vendor.lookups == 0
    (hold,) = bench.rows("SELECT * FROM reconciliation_holds")
    assert sorted(hold.plan["caseIds"]) == sorted(str(bench.case(n).id) for n in ("0", "1"))
    assert (hold.status, hold.cases_active, hold.cases_orphaned) == ("open", 2, 2)


def test_too_many_orphans_hold_the_whole_window(bench: Bench) -> None:
    _booked(bench, 12)
    for number in range(6):
        bench.vendor.delete(str(number))
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.hold_reason == "too_many_orphans"
    assert outcome.counts == Counts(found=12, unchanged=6, held=6)
    assert [row.status for row in bench.rows("SELECT status FROM case_sync_audits")] == [
        "completed",
        "held",
    ]
    assert all(bench.case(str(number)).gone is None for number in range(12))


def test_as_many_orphans_as_the_guard_allows_are_retired(bench: Bench) -> None:
    _booked(bench, 12)
    for number in range(5):
        bench.vendor.delete(str(number))
    assert bench.in_run("run-2").reconcile().counts.deleted == 5


def test_a_later_reconciliation_without_orphans_supersedes_the_hold(bench: Bench) -> None:
    _booked(bench, 2)
    kept = dict(bench.vendor.appointments)
    bench.vendor.appointments.clear()
    bench.in_run("run-2").reconcile()
    bench.vendor.appointments.update(kept)
    bench.in_run("run-3").reconcile()
    (hold,) = bench.rows("SELECT status FROM reconciliation_holds")
    assert hold.status == "superseded"


def test_an_appointment_that_the_vendor_still_knows_is_kept(bench: Bench) -> None:
    """A partial listing that seems complete: the lookup contradicts it, and wins."""
    _booked(bench, 3)
    hidden = bench.vendor.appointments["1"]

    def hide(endpoint: str) -> None:
        if endpoint == "listing":
            bench.vendor.appointments.pop("1", None)
        elif endpoint == "lookup":
            bench.vendor.appointments["1"] = hidden

    bench.vendor.on_request = hide
    outcome = bench.in_run("run-2").reconcile()
    assert bench.case("1").gone is None
    assert outcome.counts == Counts(found=3, unchanged=3)


def test_a_case_whose_lookup_fails_is_kept_for_now(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("0")
    bench.vendor.delete("1")
    bench.vendor.fail_next(TransientError("asked about an appointment; got 500"), "lookup")
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.counts == Counts(found=3, unchanged=1, skipped=1, deleted=1)
    assert bench.in_run("run-3").reconcile().counts.deleted == 1


def test_no_success_when_every_lookup_fails(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1")
    bench.vendor.fail_next(TransientError("asked about an appointment; got 500"), "lookup")
    with pytest.raises(TransientError):
        bench.in_run("run-2").reconcile()
    assert bench.case("1").gone is None


@pytest.mark.parametrize(
    ("odd", "expected"), [(2, Counts(found=6, unchanged=4, skipped=2)), (3, None)]
)
def test_odd_look_ups_fail_the_phase_only_when_several_are_all_odd(
    bench: Bench, odd: int, expected: Counts | None
) -> None:
    _booked(bench, 6)
    for number in range(odd):
        bench.vendor.delete(str(number))
        bench.vendor.fail_next(ContractViolation("asked about an appointment; odd"), "lookup")
    if expected is None:
        with pytest.raises(ContractViolation):
            bench.in_run("run-2").reconcile()
    else:
        assert bench.in_run("run-2").reconcile().counts == expected
    assert all(bench.case(str(number)).gone is None for number in range(6))


def test_an_unreadable_record_never_makes_its_case_an_orphan(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1")
    bench.vendor.quarantined.append(
        QuarantinedRecord(
            record_key="1", pims_id="1", error_class="MissingStart", error_message="no start"
        )
    )
    assert bench.in_run("run-2").reconcile().counts == Counts(found=3, unchanged=3)


def test_the_calendar_landed_in_the_same_run_is_not_fetched_again(bench: Bench) -> None:
    _booked(bench, 3)
    bench.vendor.delete("1")
    bench.inbound()
    listings = bench.vendor.listings
    assert bench.reconcile().counts.deleted == 1
    assert bench.vendor.listings == listings


def test_a_case_seen_after_the_listing_was_fetched_is_never_retired(bench: Bench) -> None:
    """The appointment is booked again, and synced, while the older listing is on its way."""
    _booked(bench, 3)
    appointment = bench.vendor.delete("1")
    nested: list[str] = []

    def rebook(endpoint: str) -> None:
        if endpoint == "lookup" and not nested:
            nested.append(endpoint)
            bench.vendor.put(appointment)
            bench.inbound()
            bench.vendor.delete("1")

    bench.vendor.on_request = rebook
    bench.in_run("run-2").reconcile()
    assert nested == ["lookup"]
    assert bench.case("1").gone is None


def test_without_look_up_an_orphan_needs_two_listings_some_time_apart(bench: Bench) -> None:
    bench.context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutLookup(bench.vendor)
    )
    _booked(bench, 3)
    bench.vendor.delete("1")
    assert bench.in_run("run-2").reconcile().counts == Counts(found=3, unchanged=2, skipped=1)
    bench.clock.forward(minutes=5)
    assert bench.in_run("run-3").reconcile().counts.deleted == 0
    bench.clock.forward(minutes=11)
    assert bench.in_run("run-4").reconcile().counts.deleted == 1
    assert bench.case("1").metadata["reconciliation"]["reason"] == "absent_twice"
