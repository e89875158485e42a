"""Phase 3: which cases are retired, and above all which are not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.providers.port import ContractViolation, PimsError, TransientError
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.verification import live_cases_deleted, replan_reconciliation
from pims_pipeline_tests.providers.fake import (
    FakeProvider,
    FakeProviderWithBatches,
    FakeProviderWithoutLookup,
)
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local
from pims_pipeline_tests.sync.phases.held import approve, held


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


@pytest.mark.parametrize("left", [0, 1, 5])
def test_without_a_guard_only_a_proven_listing_deletes(bench: Bench, left: int) -> None:
    """Neither phase learns anything from a listing without a proof, or from another window's."""
    no_guard = DeletionPolicy(min_orphans=1_000, max_percent=100, absence_interval=timedelta(0))
    bench.context = replace(bench.context, deletion_policy=no_guard)
    _booked(bench, 6)
    for number in range(6 - left):
        bench.vendor.delete(str(number))
    before = bench.everything()
    with_part = replace(bench.context, open_provider=lambda _: PartOfTheWindow(bench.vendor))
    bench.vendor.listing_complete = False
    for broken in (bench, replace(bench, context=with_part)):
        with pytest.raises(ContractViolation, match="not complete"):
            broken.in_run("run-2").inbound()
        with pytest.raises(ContractViolation, match="not complete"):
            broken.in_run("run-2").reconcile()
        bench.vendor.listing_complete = True
    assert bench.everything() == before
    assert bench.vendor.lookups == 0
    if left:
        assert bench.in_run("run-3").reconcile().counts.deleted == 6 - left


class PartOfTheWindow(FakeProvider):
    """Lists the last days only, completely."""

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        return super().fetch_appointments(DateRange(DAY + timedelta(days=1), window.end))


def test_an_approval_needs_a_proven_listing_too(bench: Bench) -> None:
    hold_id = held(bench)
    before = bench.everything()
    bench.vendor.listing_complete = False
    with pytest.raises(ContractViolation, match="not complete"):
        approve(bench.in_run("run-2"), hold_id)
    assert bench.everything() == before


def test_missing_appointments_are_looked_up_together(bench: Bench) -> None:
    bench.context = with_batches(bench)
    _booked(bench, 12)
    for number in range(4):
        bench.vendor.delete(str(number), leave_trace=number == 1)
    outcome = bench.in_run("run-2").reconcile()
    assert outcome.counts.deleted == 4
    assert [sorted(each) for each in bench.vendor.batches] == [["0", "1", "2", "3"]]
    assert bench.vendor.lookups == 1
    assert bench.case("1").metadata["reconciliation"]["reason"] == "deleted_by_vendor"


def test_what_a_batch_leaves_out_is_looked_up_by_itself_and_not_taken_for_gone(
    bench: Bench,
) -> None:
    bench.context = with_batches(bench)
    _booked(bench, 12)
    for number in range(4):
        bench.vendor.delete(str(number))
    bench.vendor.unsettled = {"2", "3"}

    def keep_three(endpoint: str) -> None:
        if endpoint == "lookup" and bench.vendor.lookups:
            bench.vendor.on_request = None
            bench.vendor.fail_next(TransientError("asked for one; got 500"), "lookup", 2)

    bench.vendor.on_request = keep_three
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.counts.deleted, outcome.counts.skipped) == (2, 2)
    assert [bench.case(each).gone for each in "0123"] == ["true", "true", None, None]
    assert bench.vendor.lookups == 3


@pytest.mark.parametrize(
    "error", [ContractViolation("one of them is unknown"), TransientError("got 500")]
)
def test_when_a_batch_fails_each_is_looked_up_by_itself(bench: Bench, error: PimsError) -> None:
    bench.context = with_batches(bench)
    _booked(bench, 12)
    for number in range(4):
        bench.vendor.delete(str(number))
    bench.vendor.fail_next(error, "lookup")
    assert bench.in_run("run-2").reconcile().counts.deleted == 4
    assert bench.vendor.lookups == 5


def test_a_lookup_under_the_identity_of_another_settles_nothing(bench: Bench) -> None:
    class Mixing(FakeProviderWithBatches):
        def lookup_appointments(
            self, appointment_ids: Sequence[str]
        ) -> Mapping[str, AppointmentLookup]:
            found = super().lookup_appointments(appointment_ids)
            return dict(zip(appointment_ids, reversed(list(found.values())), strict=True))

    bench.context = replace(bench.context, open_provider=lambda _: Mixing(bench.vendor))
    _booked(bench, 12)
    bench.vendor.delete("0")
    bench.vendor.move("1", local(DAY + timedelta(days=60), 9))
    outcome = bench.in_run("run-2").reconcile()
    assert (outcome.counts.deleted, outcome.counts.updated) == (1, 1)
    assert (bench.case("0").gone, bench.case("1").gone) == ("true", None)
    assert bench.vendor.lookups == 3


def with_batches(bench: Bench) -> SyncContext:
    """The bench's context, with a vendor that takes batches."""
    return replace(bench.context, open_provider=lambda _: FakeProviderWithBatches(bench.vendor))


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
