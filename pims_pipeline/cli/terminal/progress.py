"""The progress bar of a sync, read from the run's audits. Shown on a terminal only.

Dagster captures a run's standard error in its logs. So the bar writes to the terminal directly,
and everything else that is written during the run goes to those logs only.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import TextIO

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from pims_pipeline.cli.terminal.streams import console_on, duplicate
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.database.errors import DatabaseUnavailable

_INTERVAL_SECONDS = 0.3
_END_SECONDS = 5.0
log = get_logger(__name__)

ReadAudits = Callable[[], Sequence[Audit]]
"""Returns the run's audits so far, oldest first."""


@contextmanager
def progress_bar(phases: Sequence[Phase], windows: int, read: ReadAudits) -> Iterator[None]:
    """Show the progress of the phases while the block runs, if standard error is a terminal.

    Args:
        phases: The run's phases.
        windows: The number of audits that each phase will have.
        read: Called from another thread, a few times a second.
    """
    if not sys.stderr.isatty():
        yield
        return
    with _terminal_alone() as terminal:
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console_on(terminal),
            # Dagster captures standard error.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with progress:
            tasks = {
                phase: progress.add_task(phase.value, total=None, start=False, state="waiting")
                for phase in phases
            }
            with _repeated(lambda: _show(progress, tasks, read(), windows)):
                yield


@contextmanager
def _terminal_alone() -> Iterator[TextIO]:
    """The terminal behind standard error; standard error itself is discarded in the block."""
    error = sys.stderr.fileno()
    sys.stderr.flush()
    with (
        duplicate(sys.stderr) as terminal,
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123 - a descriptor is wanted
    ):
        os.dup2(nowhere.fileno(), error)
        try:
            yield terminal
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), error)


@contextmanager
def _repeated(show: Callable[[], None]) -> Iterator[None]:
    """Call ``show`` repeatedly in its own thread, and once at the end."""
    done = Event()

    def work() -> None:
        try:
            while not done.wait(_INTERVAL_SECONDS):
                show()
            show()
        except DatabaseUnavailable:
            # The run fails with the same error and reports it.
            log.debug("progress_unknown", exc_info=True)

    thread = Thread(target=work, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        # A read that waits for the database must not delay the command.
        thread.join(_END_SECONDS)


def _show(
    progress: Progress, tasks: Mapping[Phase, TaskID], audits: Sequence[Audit], windows: int
) -> None:
    for phase, task in tasks.items():
        of_phase = [audit for audit in audits if audit.sync_type is phase]
        if not of_phase:
            continue
        if progress.tasks[task].start_time is None:
            progress.start_task(task)
        done, total = steps(of_phase, windows)
        progress.update(task, completed=done, total=total, state=_state(of_phase, windows))
        if done == total:
            progress.stop_task(task)


def steps(audits: Sequence[Audit], windows: int) -> tuple[int, int]:
    """The number of steps of a phase that are done, and of those that are known so far.

    Each window is a step, and so is each appointment whose consultation is fetched.
    """
    ended = sum(audit.status is not AuditStatus.IN_PROGRESS for audit in audits)
    done = ended + sum(audit.items_done for audit in audits)
    return done, max(windows, len(audits)) + sum(audit.items_total for audit in audits)


def _state(audits: Sequence[Audit], windows: int) -> str:
    for audit in audits:
        if audit.status not in {AuditStatus.IN_PROGRESS, AuditStatus.COMPLETED}:
            return audit.status.value
    completed = sum(audit.status is AuditStatus.COMPLETED for audit in audits)
    return "done" if completed >= windows else "running"
