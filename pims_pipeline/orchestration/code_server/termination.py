"""Ends a run that is terminated after its code server has ended.

The code server passes a termination on to the run's process. A run that outlives it would go on,
while Dagster shows it as canceled.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

import dagster as dg
from dagster import DagsterInstance

from pims_pipeline.observability.logging import get_logger

_INTERVAL_SECONDS = 2.0

log = get_logger(__name__)


@contextmanager
def ends_when_terminated(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """During the block, interrupt this process when its code server is gone and its run canceled.

    In a process that no code server started, Ctrl-C ends the run, and this does nothing.
    """
    if parent_process() is None:
        yield
        return
    over = threading.Event()
    watching = threading.Thread(
        target=_watch, args=(instance, run_id, over), name="pims-termination", daemon=True
    )
    watching.start()
    try:
        yield
    finally:
        over.set()


def _watch(instance: DagsterInstance, run_id: str, over: threading.Event) -> None:
    parent = parent_process()
    while not over.wait(_INTERVAL_SECONDS):
        if parent is not None and not parent.is_alive() and _is_canceled(instance, run_id):
            # As the code server does.
            os.kill(os.getpid(), signal.SIGINT)
            return


def _is_canceled(instance: DagsterInstance, run_id: str) -> bool:
    try:
        run = instance.get_run_by_id(run_id)
    except Exception as error:  # noqa: BLE001 - the database may be back at the next look
        log.warning("termination_not_checked", run_id=run_id, error=type(error).__name__)
        return False
    # A run that has ended for Dagster was canceled by force, or failed because it was stuck.
    return run is None or run.is_finished or run.status is dg.DagsterRunStatus.CANCELING
