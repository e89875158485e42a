"""Clocks that jump: a sync with a right clock follows the vendor again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.moments import repaired_before
from pims_pipeline.sync.clocks import steady_clock
from pims_pipeline.sync.phases.verification import replan_inbound
from pims_pipeline_tests.providers.fake import FakeProvider, FakeProviderWithoutLookup
from pims_pipeline_tests.sync.bench import DAY, NOW, WINDOW, Bench, local

JUMPS = [timedelta(days=400), timedelta(hours=3), timedelta(days=-400), timedelta(hours=-3)]


def _all_phases(bench: Bench, run_id: str) -> None:
    run = bench.in_run(run_id)
    run.inbound()
    run.enrich()
    run.reconcile()


def _wrongly(bench: Bench, by: timedelta, run_id: str = "wrong") -> None:
    """Sync with the clock wrong by ``by``; then set it right."""
    bench.clock.moment += by
    _all_phases(bench, run_id)
    bench.clock.moment += timedelta(minutes=1) - by


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_after_a_wrong_clock_a_sync_follows_the_vendor_again(bench: Bench, by: timedelta) -> None:
    for number in range(6):
        bench.vendor.book(str(number), local(DAY, 8 + number))
    _all_phases(bench, "run-0")
    _wrongly(bench, by)
    bench.vendor.set_status("0", "cancelled")
    bench.vendor.delete("1")
    moved = bench.vendor.move("2", local(DAY, 17))
    bench.vendor.book("6", local(DAY, 16))
    _all_phases(bench, "run-1")
    assert bench.case("0").metadata["appointment"]["status"] == "cancelled"
    assert bench.case("1").gone == "true"
    assert bench.case("2").scheduled_start == moved.scheduled_start
    assert {bench.case(each).gone for each in "023456"} == {None}
    assert replan_inbound(bench.engine, bench.clinic, WINDOW).is_empty
    before = bench.everything()
    _all_phases(bench, "run-2")
    assert bench.everything() == before


def test_the_audit_of_the_next_phase_says_how_many_rows_were_repaired(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 8))
    _wrongly(bench, timedelta(days=400))
    first, second = bench.in_run("run-1").inbound(), bench.in_run("run-2").inbound()
    with transaction(bench.engine) as connection:
        # The appointment, its case and the audits of the wrong run's three phases.
        assert repaired_before(connection, first.audit_id) == 5
        assert repaired_before(connection, second.audit_id) == 0


def test_an_appointment_retired_by_a_wrong_clock_comes_back(bench: Bench) -> None:
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 8 + number))
    _all_phases(bench, "run-0")
    appointment = bench.vendor.delete("1")
    _wrongly(bench, timedelta(days=400))
    assert bench.case("1").gone == "true"
    bench.vendor.put(appointment)
    assert bench.in_run("run-1").inbound().counts == Counts(found=4, restored=1, unchanged=3)
    assert bench.case("1").gone is None


def test_an_absence_recorded_in_the_future_does_not_count(bench: Bench) -> None:
    bench.context = replace(
        bench.context, open_provider=lambda _: FakeProviderWithoutLookup(bench.vendor)
    )
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 8 + number))
    _all_phases(bench, "run-0")
    bench.vendor.delete("1")
    _wrongly(bench, timedelta(days=400))
    assert bench.in_run("run-1").reconcile().counts.deleted == 0
    bench.clock.forward(minutes=16)
    assert bench.in_run("run-2").reconcile().counts.deleted == 1


def test_a_consultation_fetched_in_the_future_is_fetched_again(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 8), status="Completed")
    bench.vendor.record_appointment("1", notes="first")
    _wrongly(bench, timedelta(days=400))
    bench.vendor.record_appointment("1", notes="second")
    assert bench.in_run("run-1").enrich().counts.enriched == 1
    assert bench.in_run("run-2").enrich().counts == Counts()


def test_a_failure_in_the_future_is_retried(bench: Bench) -> None:
    bench.vendor.book("1", local(DAY, 8), status="Completed")
    bench.vendor.record_appointment("1")
    bench.in_run("run-0").inbound()
    bench.clock.forward(days=400)
    bench.vendor.fail_next(TransientError("asked for the record; got 503"), "consultation")
    assert bench.in_run("run-1").enrich().counts.errored == 1
    bench.clock.forward(days=-400)
    assert bench.in_run("run-2").enrich().counts.enriched == 1
    assert [row.resolved_at for row in bench.everything()["failures"]] != [None]


def test_a_success_in_the_future_does_not_prevent_overdue(bench: Bench) -> None:
    bench.run("UPDATE clinics SET scheduled_since = :since", since=NOW)
    bench.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")
    _wrongly(bench, timedelta(days=400))
    bench.clock.forward(days=3)
    evaluate(bench.engine, bench.clock())
    rows = bench.rows("SELECT kind, subject FROM alerts ORDER BY subject")
    assert [(row.kind, row.subject) for row in rows] == [
        ("overdue", "cases"), ("overdue", "inbound"), ("overdue", "reconciliation"),
    ]  # fmt: skip


def test_a_listing_from_the_future_is_dated_by_its_request(bench: Bench) -> None:
    class Fast(FakeProvider):
        def fetch_appointments(self, window: DateRange) -> Snapshot:
            listing = super().fetch_appointments(window)
            return replace(listing, fetched_at=listing.fetched_at + timedelta(days=400))

    bench.vendor.book("1", local(DAY, 8))
    bench.context = replace(bench.context, open_provider=lambda _: Fast(bench.vendor))
    bench.inbound()
    (row,) = bench.rows("SELECT last_seen_at FROM pims_appointments")
    assert NOW < row.last_seen_at < bench.clock()


SET_DURING_RUN = [timedelta(minutes=20), timedelta(minutes=-20)]


def _set_during_run(bench: Bench, by: timedelta) -> Bench:
    """A run during which the host's clock, which the adapter reads, is set."""

    class WrongClock(FakeProvider):
        def fetch_appointments(self, window: DateRange) -> Snapshot:
            listing = super().fetch_appointments(window)
            return replace(listing, fetched_at=listing.fetched_at + by)

        def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
            lookup = super().lookup_appointment(appointment_id)
            return replace(lookup, asked_at=lookup.asked_at + by)

    run = bench.in_run("wrong")
    return replace(
        run, context=replace(run.context, open_provider=lambda _: WrongClock(bench.vendor))
    )


@pytest.mark.parametrize("by", SET_DURING_RUN, ids=str)
def test_a_clock_set_during_a_run_hides_no_change(bench: Bench, by: timedelta) -> None:
    for number in range(4):
        bench.vendor.book(str(number), local(DAY, 9 + number))
    bench.inbound()
    elsewhere = WINDOW.end + timedelta(days=30)
    bench.vendor.set_status("0", "Cancelled")
    bench.vendor.move("1", local(elsewhere, 9))
    bench.vendor.delete("2")
    run = _set_during_run(bench, by)
    run.inbound()
    run.in_run("another").reconcile()
    assert bench.case("0").status == "reviewed"
    assert bench.case("1").scheduled_date == elsewhere
    assert bench.case("2").gone == "true"
    now = bench.clock()
    for row in bench.rows("SELECT last_seen_at, fetched_at, removed_at FROM pims_appointments"):
        assert all(moment is None or NOW < moment < now for moment in row)


def test_the_clock_of_a_run_ignores_changes_of_the_host_s() -> None:
    host, seconds = [NOW], [100.0]
    clock = steady_clock(lambda: host[0], lambda: seconds[0])
    host[0] += timedelta(days=400)
    seconds[0] += 2.5
    assert clock() == NOW + timedelta(seconds=2.5)
    host[0] -= timedelta(days=900)
    assert clock() == NOW + timedelta(seconds=2.5)
