"""One phase over the clinics of a run: side by side, each failing for itself.

What a phase does to one window is in the phase's own module; partitions, metadata and what else
Dagster is given are in ``orchestration``.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic, DateRange, windows_of
from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import (
    AuthenticationRejected,
    HumanNeeded,
    PimsError,
    TimeLimitReached,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import NoCredentials
from pims_pipeline.store.secrets.vault import Undecryptable
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.session import ProviderSession, clinic_session


class PhaseFunction(Protocol):
    """One phase over one window of one clinic; see ``pims_pipeline.sync``."""

    def __call__(
        self,
        context: SyncContext,
        clinic: Clinic,
        window: DateRange,
        session: ProviderSession,
        /,
        *,
        audit_id: UUID | None,
    ) -> PhaseOutcome:
        """Do it, under an audit of that id where one is given."""


_HOPELESS = (
    AuthenticationRejected,
    HumanNeeded,
    NoCredentials,
    TimeLimitReached,
    Undecryptable,
)
"""After these, the clinic's other windows would fail in the same way, lock the account, or keep
other clinics waiting."""

log = get_logger(__name__)


class UpstreamFailed(PimsError):
    """What the phase builds on failed earlier in the same run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFailure:
    """Why a phase did not get through one window of a clinic.

    Attributes:
        error_class: The name of the error's class.
        message: Safe to show.
    """

    window: DateRange
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class ClinicReport:
    """What a phase did to one clinic; every selected day lies in an outcome or a failure."""

    slug: str
    outcomes: list[PhaseOutcome] = field(default_factory=list)
    failures: list[WindowFailure] = field(default_factory=list)

    @property
    def failed_days(self) -> list[date]:
        """The selected business dates that the phase did not get through."""
        return [day for failure in self.failures for day in failure.window]


@dataclass(slots=True)
class RunLedger:
    """Which partitions the later phases of a run must leave alone, and why.

    Lives as long as the run's process: a run that is started again begins afresh.
    """

    barred: dict[tuple[str, date], str] = field(default_factory=dict)

    def exclude(self, slug: str, days: Sequence[date], why: str) -> None:
        """Keep later phases from the clinic's days; the first reason stands."""
        for day in days:
            self.barred.setdefault((slug, day), why)

    def reason(self, slug: str, day: date) -> str | None:
        """Why the clinic's day is to be left alone, or None when it is not."""
        return self.barred.get((slug, day))


def clinics_side_by_side(
    selection: Mapping[str, Sequence[date]],
    work: Callable[[str, Sequence[date]], ClinicReport],
    *,
    at_once: int,
    stop: StopSignal,
) -> Iterator[ClinicReport]:
    """Each clinic's report, in the order of coming in.

    When the caller is interrupted, the clinics that wait are dropped, and those at work are
    told to stop by ``stop``, which each of their waits watches.
    """
    pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="clinic")
    try:
        futures = [pool.submit(work, slug, days) for slug, days in selection.items()]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        stop.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def work_on_clinic(
    context: SyncContext,
    slug: str,
    days: Sequence[date],
    phase: PhaseFunction,
    *,
    ledger: RunLedger,
    first_audit_id: UUID | None = None,
) -> ClinicReport:
    """Run the phase over the clinic's days; whatever goes wrong is in the report.

    Args:
        context: The run's; ``stop`` is the clinic's own signal, whose time limit counts for each
            window again, so that a long range goes on while it moves.
        slug: The clinic.
        days: Its business dates.
        phase: What is done to each window of them.
        ledger: Says which days are to be left alone.
        first_audit_id: The id of the first window's audit, where it was promised to a client.
    """
    report = ClinicReport(slug)
    free = [day for day in days if ledger.reason(slug, day) is None]
    for window in windows_of(day for day in days if day not in free):
        why = ledger.reason(slug, window.start)
        report.failures.append(_failure(window, UpstreamFailed(f"left alone: {why}")))
    windows = windows_of(free)
    try:
        clinic = _synced_clinic(context, slug)
    except Exception as error:  # noqa: BLE001 - becomes this clinic's failure; the others go on
        report.failures.extend(_failure(window, error) for window in windows)
        return report
    with clinic_session(context, clinic) as session:
        for place, window in enumerate(windows):
            context.stop.restart()
            try:
                context.stop.check()
                audit_id = first_audit_id if place == 0 else None
                report.outcomes.append(phase(context, clinic, window, session, audit_id=audit_id))
            except _HOPELESS as error:
                report.failures.extend(_failure(each, error) for each in windows[place:])
                break
            except Exception as error:  # noqa: BLE001 - as above
                report.failures.append(_failure(window, error))
    return report


def _synced_clinic(context: SyncContext, slug: str) -> Clinic:
    with transaction(context.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
    check_use(clinic, ClinicUse.SYNC)
    return clinic


def _failure(window: DateRange, error: Exception) -> WindowFailure:
    name = type(error).__name__
    if isinstance(error, UserFacingError):
        return WindowFailure(window=window, error_class=name, message=str(error))
    # Its message may hold what it stumbled over; its place in the code cannot.
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.name}, line {where.lineno}"
    log.error("phase_broke", window=str(window), error=name, place=place)
    return WindowFailure(
        window=window, error_class=name, message=f"unexpected {name} in {place}; please report it"
    )
