"""Runs checks side by side; each ends alone, within its own timeout.

A check is a function: it yields what it finds, and raises a ``UserFacingError`` when it cannot go
on. Add one in a module of its subject, and to ``CHECKS`` in ``checks``. A check may hang (a
database that accepts and never responds, a disk that is gone): it is then reported, with what it
found until then, and its thread is left behind.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import CheckReport, DoctorFinding
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import TimeLimitReached
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.conditions import explain

Run = Callable[[CheckedInstallation, StopSignal], Iterable[DoctorFinding]]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorCheck:
    """A check of one part of the installation.

    Attributes:
        name: In tables, JSON and options.
        about: What it looks at; one line.
        run: Yields what it finds. Its waits observe the signal, where they can.
        hung: What to do when it does not end within its timeout.
        seconds: The timeout.
        after: The checks that must have run to their end before; what they found is no matter.
        needs_database: Whether it is left out where there is no database yet.
    """

    name: str
    about: str
    run: Run
    hung: str
    seconds: float
    after: tuple[str, ...] = ()
    needs_database: bool = True


def diagnose(
    installation: CheckedInstallation, checks: Sequence[DoctorCheck]
) -> tuple[CheckReport, ...]:
    """Run the checks; takes no longer than the timeouts of those that depend on each other.

    Args:
        installation: What to check.
        checks: Those to run, each behind the ones that it needs. What it needs and is not among
            them counts as fine.
    """
    stop = StopSignal()
    reports: dict[str, Future[CheckReport]] = {}
    with ThreadPoolExecutor(max_workers=max(len(checks), 1)) as pool:
        try:
            for check in checks:
                needed = [reports[name] for name in check.after if name in reports]
                reports[check.name] = pool.submit(_report, check, installation, needed, stop)
            return tuple(map(stop.result_of, reports.values()))
        except BaseException:
            # Also a Ctrl-C: the pool waits for its threads, which this ends.
            stop.stop()
            raise


def _report(
    check: DoctorCheck,
    installation: CheckedInstallation,
    needed: Sequence["Future[CheckReport]"],
    stop: StopSignal,
) -> CheckReport:
    """The report of a check, once those that it needs have ended."""
    missing = [each.name for each in map(stop.result_of, needed) if not each.is_complete]
    if check.needs_database and installation.engine is None:
        return _left_out(check, "not checked: there is no database")
    if missing:
        return _left_out(check, f"not checked: it needs {' and '.join(missing)}")
    return _checked(check, installation, stop)


def _left_out(check: DoctorCheck, why: str) -> CheckReport:
    return CheckReport(name=check.name, findings=(DoctorFinding.skipped(why),), is_complete=False)


def _checked(
    check: DoctorCheck, installation: CheckedInstallation, stop: StopSignal
) -> CheckReport:
    """Run the check in a thread of its own, until it ends or its timeout passes."""
    found: list[DoctorFinding] = []
    began = time.monotonic()
    limit = stop.child(seconds=check.seconds, explanation=check.name)
    ended: Future[None] = Future()

    def work() -> None:
        try:
            # One at a time, so that a check that hangs has reported what came before.
            for finding in check.run(installation, limit):
                found.append(finding)  # noqa: PERF402 - see above
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting thread
            ended.set_exception(error)
        else:
            ended.set_result(None)

    # A daemon: a check that hangs must not keep the process alive.
    threading.Thread(target=work, name=f"doctor-{check.name}", daemon=True).start()
    problem = _problem(check, ended, limit)
    # A copy: a thread that is left behind may still find something.
    until_now = tuple(found)
    if problem is not None:
        until_now = (*until_now, problem)
    return CheckReport(
        name=check.name,
        findings=until_now or (DoctorFinding.skipped("there is nothing to check"),),
        seconds=time.monotonic() - began,
        is_complete=problem is None,
    )


def _problem(check: DoctorCheck, ended: "Future[None]", limit: StopSignal) -> DoctorFinding | None:
    """Why the check did not end by itself; None if it did."""
    try:
        limit.result_of(ended)
    except TimeLimitReached:
        return DoctorFinding.failed(f"no result within {check.seconds:g} seconds", check.hung)
    except UserFacingError as error:
        return DoctorFinding.failed(str(error))
    except OSError as error:
        refusal = (error.strerror or type(error).__name__).lower()
        return DoctorFinding.failed(f"the system refuses: {refusal}")
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
        reason = explain(error)
        if reason is not None:
            return DoctorFinding.failed(reason)
        kind = type(error).__name__
        _log.debug("check_broke", check=check.name, error=kind)
        return DoctorFinding.failed(
            f"the check itself failed ({kind})", "report it, with the output of `pims --version`"
        )
    return None
