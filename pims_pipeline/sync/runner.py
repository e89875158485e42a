"""Runs one phase over the clinics of a run, concurrently; a clinic's failure stops no other.

The work on one window belongs in the phase's module; partitions and metadata belong in
``orchestration``.
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
        """Run the phase; ``audit_id`` is the id of its audit, random if None."""


_ENDS_THE_CLINIC = (
    AuthenticationRejected,
    HumanNeeded,
    NoCredentials,
    TimeLimitReached,
    Undecryptable,
)
"""Errors after which the clinic's other windows are not tried: they would fail too, lock the
account, or delay other clinics."""

log = get_logger(__name__)


class UpstreamFailed(PimsError):
    """An earlier phase of the same run failed for these dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFailure:
    """Why a phase failed for one window of a clinic.

    Attributes:
        error_class: The name of the error's class.
        message: Without personal data.
    """

    window: DateRange
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class ClinicReport:
    """The result of a phase for one clinic; each selected day is in an outcome or a failure."""

    slug: str
    outcomes: list[PhaseOutcome] = field(default_factory=list)
    failures: list[WindowFailure] = field(default_factory=list)

    @property
    def failed_days(self) -> list[date]:
        """The selected business dates for which the phase failed."""
        return [day for failure in self.failures for day in failure.window]


@dataclass(slots=True)
class RunLedger:
    """Which partitions the later phases of a run must skip, and why.

    It exists only in the run's process: a retry of the run starts with an empty one.
    """

    barred: dict[tuple[str, date], str] = field(default_factory=dict)

    def exclude(self, slug: str, days: Sequence[date], why: str) -> None:
        """Make later phases skip the clinic's days; the first reason is kept."""
        for day in days:
            self.barred.setdefault((slug, day), why)

    def reason(self, slug: str, day: date) -> str | None:
        """Why later phases skip the clinic's day; None if they do not."""
        return self.barred.get((slug, day))


def run_clinics(
    selection: Mapping[str, Sequence[date]],
    work: Callable[[str, Sequence[date]], ClinicReport],
    *,
    at_once: int,
    stop: StopSignal,
) -> Iterator[ClinicReport]:
    """Run ``work`` for each clinic, concurrently; yield the reports as they finish.

    If the caller is interrupted, waiting clinics are dropped, and active ones are stopped by
    ``stop``, which all their waits watch.
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


def sync_clinic(
    context: SyncContext,
    slug: str,
    days: Sequence[date],
    phase: PhaseFunction,
    *,
    ledger: RunLedger,
    first_audit_id: UUID | None = None,
) -> ClinicReport:
    """Run the phase over the clinic's days; the report holds all failures.

    Args:
        context: The run's context; ``stop`` is the clinic's own signal, and its time limit starts
            again with each window.
        slug: The clinic.
        days: The business dates.
        phase: Runs for each window of them.
        ledger: The days to skip.
        first_audit_id: The id of the first window's audit, if a client knows it already.
    """
    report = ClinicReport(slug)
    free = [day for day in days if ledger.reason(slug, day) is None]
    for window in windows_of(day for day in days if day not in free):
        why = ledger.reason(slug, window.start)
        report.failures.append(_failure(window, UpstreamFailed(f"left alone: {why}")))
    windows = windows_of(free)
    try:
        clinic = _synced_clinic(context, slug)
    except Exception as error:  # noqa: BLE001 - recorded; must not stop other clinics
        report.failures.extend(_failure(window, error) for window in windows)
        return report
    with clinic_session(context, clinic) as session:
        for position, window in enumerate(windows):
            context.stop.restart()
            try:
                context.stop.check()
                audit_id = first_audit_id if position == 0 else None
                report.outcomes.append(phase(context, clinic, window, session, audit_id=audit_id))
            except _ENDS_THE_CLINIC as error:
                report.failures.extend(_failure(each, error) for each in windows[position:])
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
    # Its message may hold personal data; its position in the code cannot.
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.name}, line {where.lineno}"
    log.error("phase_broke", window=str(window), error=name, place=place)
    return WindowFailure(
        window=window, error_class=name, message=f"unexpected {name} in {place}; please report it"
    )
