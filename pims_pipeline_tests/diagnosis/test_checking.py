"""Each check ends alone: in time, with what it found, whatever the others do."""

import _thread
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pims_pipeline.diagnosis.checking import DoctorCheck, Run, diagnose
from pims_pipeline.diagnosis.checks import CHECKS, NAMES
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import (
    CheckReport,
    DoctorFinding,
    FindingStatus,
    failed_checks,
)
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.stop_signal import StopSignal

FINE = DoctorFinding.ok("it is fine")
SHORT = 0.05
LONG = 60.0


def check(
    name: str, run: Run, *, seconds: float = LONG, after: tuple[str, ...] = ()
) -> DoctorCheck:
    return DoctorCheck(
        name=name,
        about="a check of the tests",
        run=run,
        hung="wake it",
        seconds=seconds,
        after=after,
        needs_database=False,
    )


def is_fine(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    yield FINE


def fails(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    yield DoctorFinding.failed("it is broken", "fix it")


def refuses(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    yield FINE
    raise UserFacingError("it refuses; ask again")


def breaks(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
    yield from ()
    raise ZeroDivisionError("Rex, 555-0101")


@pytest.fixture
def hang() -> Iterator[Run]:
    """A check that observes nothing, and hangs until the test ends."""
    over = threading.Event()

    def hangs(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
        yield FINE
        over.wait()
        yield DoctorFinding.ok("too late")

    yield hangs
    over.set()


def by_name(reports: tuple[CheckReport, ...]) -> dict[str, CheckReport]:
    return {each.name: each for each in reports}


def test_a_check_that_hangs_is_reported_with_what_it_found_before(
    without_database: CheckedInstallation, hang: Run
) -> None:
    hung, fine = diagnose(
        without_database, [check("hung", hang, seconds=SHORT), check("fine", is_fine)]
    )

    assert hung.findings == (FINE, DoctorFinding.failed("no result within 0.05 seconds", "wake it"))
    assert fine.findings == (FINE,)


def test_a_check_that_observes_the_signal_ends_with_its_timeout(
    without_database: CheckedInstallation,
) -> None:
    ended = threading.Event()

    def waits(_installation: CheckedInstallation, stop: StopSignal) -> Iterator[DoctorFinding]:
        try:
            stop.wait(LONG)
        finally:
            ended.set()
        yield FINE

    [report] = diagnose(without_database, [check("waiting", waits, seconds=SHORT)])

    assert report.findings == (DoctorFinding.failed("no result within 0.05 seconds", "wake it"),)
    assert ended.wait(LONG)


def test_what_needs_a_check_that_could_not_go_on_is_not_run(
    without_database: CheckedInstallation,
) -> None:
    reports = by_name(
        diagnose(
            without_database,
            [
                check("first", refuses),
                check("second", breaks, after=("first",)),
                check("third", breaks, after=("second",)),
            ],
        )
    )

    assert reports["second"].findings == (DoctorFinding.skipped("not checked: it needs first"),)
    assert reports["third"].findings == (DoctorFinding.skipped("not checked: it needs second"),)
    assert failed_checks(reports.values()) == ("first",)


def test_what_needs_a_check_that_ended_is_run_whatever_that_found(
    without_database: CheckedInstallation,
) -> None:
    first, second = diagnose(
        without_database, [check("first", fails), check("second", is_fine, after=("first",))]
    )

    assert first.status is FindingStatus.FAILED
    assert second.findings == (FINE,)


def test_a_check_runs_alone_when_those_it_needs_are_not_asked_for(
    without_database: CheckedInstallation,
) -> None:
    [report] = diagnose(without_database, [check("second", is_fine, after=("first",))])

    assert report.findings == (FINE,)


def test_an_error_for_users_is_a_finding_and_any_other_quotes_nothing(
    without_database: CheckedInstallation,
) -> None:
    refused, broken = diagnose(
        without_database, [check("refused", refuses), check("broken", breaks)]
    )

    assert refused.findings == (FINE, DoctorFinding.failed("it refuses; ask again"))
    assert broken.status is FindingStatus.FAILED
    assert "ZeroDivisionError" in broken.findings[0].text
    assert "Rex" not in str(broken)


def test_ctrl_c_ends_the_wait_for_a_check_that_hangs(
    without_database: CheckedInstallation, hang: Run
) -> None:
    def interrupts(
        _installation: CheckedInstallation, _stop: StopSignal
    ) -> Iterator[DoctorFinding]:
        _thread.interrupt_main()
        yield FINE

    with pytest.raises(KeyboardInterrupt):
        diagnose(without_database, [check("hung", hang), check("interrupts", interrupts)])


def test_a_check_that_finds_nothing_says_so(without_database: CheckedInstallation) -> None:
    def silent(_installation: CheckedInstallation, _stop: StopSignal) -> Iterator[DoctorFinding]:
        yield from ()

    [report] = diagnose(without_database, [check("silent", silent)])

    assert report.status is FindingStatus.SKIPPED


def test_without_a_database_what_needs_one_is_left_out(
    without_database: CheckedInstallation,
) -> None:
    reports = by_name(diagnose(without_database, CHECKS))

    assert reports["database"].status is FindingStatus.WARNING
    for name in ("migrations", "keys", "browser", "vendors"):
        assert reports[name].findings == (
            DoctorFinding.skipped("not checked: there is no database"),
        ), name
    assert failed_checks(reports.values()) == ()


def test_each_check_is_behind_those_that_it_needs() -> None:
    for number, each in enumerate(CHECKS, start=1):
        assert set(each.after) <= set(NAMES[1:number]), each.name
        assert each.about
        assert each.hung


def test_a_warning_is_no_failure_and_the_worst_finding_decides() -> None:
    report = CheckReport(name="one", findings=(FINE, DoctorFinding.warning("old", "renew it")))
    worse = replace(report, findings=(*report.findings, DoctorFinding.failed("gone"), FINE))

    assert report.status is FindingStatus.WARNING
    assert failed_checks([report]) == ()
    assert failed_checks([report, worse]) == ("one",)
