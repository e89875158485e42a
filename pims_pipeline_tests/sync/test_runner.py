"""Concurrent clinics, and how they stop."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline.store.clinics import add_clinic, deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.runner import ClinicReport, RunLedger, run_clinics, sync_clinic
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.providers.fake import FakeProvider
from pims_pipeline_tests.providers.packages import BROKEN, BROKEN_LINE, installed_beside
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench

DEADLINE_S = 30


def test_an_interrupt_stops_active_clinics_and_drops_waiting_ones() -> None:
    stopped: list[str] = []
    began = Event()
    stop = StopSignal()

    def work(slug: str, _: Sequence[date]) -> ClinicReport:
        if slug == "first":
            return ClinicReport(slug)
        began.set()
        try:
            stop.wait(DEADLINE_S)
        except RunStopped:
            stopped.append(slug)
            raise
        return ClinicReport(slug)

    selection: dict[str, list[date]] = {slug: [] for slug in ("first", "second", "third")}
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the loop is what is interrupted
        for report in run_clinics(selection, work, at_once=1, stop=stop):
            assert report.slug == "first"
            assert began.wait(DEADLINE_S)
            raise KeyboardInterrupt
    assert stopped == ["second"]


def test_a_session_sends_no_request_after_the_run_was_stopped(bench: Bench) -> None:
    context = replace(bench.context, stop=StopSignal())
    with clinic_session(context, bench.clinic) as session:
        session.request(lambda provider: provider.fetch_appointments(WINDOW))
        context.stop.stop()
        with pytest.raises(RunStopped):
            session.request(lambda provider: provider.fetch_appointments(WINDOW))
    assert bench.vendor.listings == 1


def test_a_clinic_whose_package_is_broken_fails_alone(bench: Bench, tmp_path: Path) -> None:
    options = ProviderOptions(login=LoginOptions(artifacts_dir=tmp_path))
    with transaction(bench.engine) as connection:
        for slug, provider_type in (("their-clinic", BROKEN.name), ("no-package", "paper")):
            add_clinic(
                connection,
                slug=slug,
                name=slug,
                timezone=bench.clinic.timezone,
                provider_type=provider_type,
                provider_base_url="https://another.example",
            )

    def open_provider(clinic: Clinic) -> PimsProvider:
        return (
            FakeProvider(bench.vendor)
            if clinic.slug == bench.clinic.slug
            else build_provider(clinic, options)
        )

    context = replace(bench.context, open_provider=open_provider)
    bench.vendor.book("1", datetime.combine(DAY, time(9)))
    reports: dict[str, ClinicReport] = {}
    with installed_beside(BROKEN):
        for slug in ("their-clinic", "no-package", bench.clinic.slug):
            reports[slug] = sync_clinic(context, slug, [DAY], sync_appointments, ledger=RunLedger())
    ours = reports.pop(bench.clinic.slug)
    (theirs,), (unknown,) = (each.failures for each in reports.values())

    assert (ours.failures, [each.counts.created for each in ours.outcomes]) == ([], [1])
    assert (theirs.error_class, theirs.message) == ("UnusableProvider", BROKEN_LINE)
    assert unknown.message.startswith("unknown provider type 'paper'; known are: ")
    assert bench.rows("SELECT DISTINCT clinic_id FROM cases") == [(bench.clinic.id,)]


@pytest.mark.parametrize(("seconds", "done"), [(6.0, 2), (11.0, 0)])
def test_the_time_limit_of_a_clinic_applies_to_each_window(
    bench: Bench, seconds: float, done: int
) -> None:
    now = 0.0

    def phase(
        context: SyncContext,
        _: Clinic,
        window: DateRange,
        __: object,
        *,
        audit_id: UUID | None,
    ) -> PhaseOutcome:
        nonlocal now
        assert audit_id is None
        now += seconds
        context.stop.check()
        return PhaseOutcome(
            sync_type=Phase.INBOUND, window=window, audit_id=uuid4(), by_date={}, duration_ms=0
        )

    stop = StopSignal(seconds=10, explanation="too slow", clock=lambda: now)
    context = replace(bench.context, stop=stop)
    long_range = list(DateRange(DAY - timedelta(days=50), DAY))

    report = sync_clinic(context, bench.clinic.slug, long_range, phase, ledger=RunLedger())

    assert len(report.outcomes) == done
    assert {failure.error_class for failure in report.failures} == (
        set() if done else {"TimeLimitReached"}
    )


def test_a_clinic_that_was_deactivated_fails_every_window(bench: Bench) -> None:
    with transaction(bench.engine) as connection:
        deactivate_clinic(connection, bench.clinic.slug)

    report = sync_clinic(
        bench.context, bench.clinic.slug, list(WINDOW), sync_appointments, ledger=RunLedger()
    )

    assert report.outcomes == []
    assert [failure.error_class for failure in report.failures] == ["ClinicDeactivated"]
    assert bench.vendor.listings == 0


def test_the_first_reason_to_skip_a_day_is_kept(clinic: Clinic) -> None:
    ledger = RunLedger()
    window = DateRange(DAY, DAY + timedelta(days=1))
    ledger.exclude(clinic.slug, [window.start], "one")
    ledger.exclude(clinic.slug, list(window), "two")
    assert [ledger.reason(clinic.slug, day) for day in window] == ["one", "two"]
    assert ledger.reason("another", window.start) is None
