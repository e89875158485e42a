"""Ends runs whose process died or is stuck; ``scheduled_syncs`` calls it at each evaluation.

Dagster notices only the death of processes that it launched and still watches. An abandoned run
would keep its slot in the queue for ever, and its clinics would not be synced.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.domain.moments import age_of
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration.run_scope import phases_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.liveness import interrupt_runs, run_activities

IDLE_LIMIT = timedelta(minutes=5)
"""How long a run may make no progress: its start, and the end of a clinic's work, are progress."""

log = get_logger(__name__)


def end_abandoned_runs(
    instance: DagsterInstance, engine: Engine, now: datetime, *, stuck_after: timedelta
) -> list[str]:
    """Fail the runs whose process died or is stuck.

    Only runs that sync are checked: these renew a lease (``store/database/leases.py``). A run
    without a lease is dead after ``IDLE_LIMIT`` without progress. A run with a lease is stuck
    after ``stuck_after`` and ``IDLE_LIMIT`` without progress, because its own time limit did not
    end it; its process is terminated.

    Audits are marked as interrupted before their run fails. A process that wakes up later can
    then write nothing for the failed run.

    Args:
        instance: The Dagster instance.
        engine: The database of cases.
        now: The present time; aware.
        stuck_after: How long a run may take.

    Returns:
        The ids of the runs that were ended.
    """
    started = instance.get_run_records(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    )
    runs = {each.dagster_run.run_id: each for each in started if phases_of(each.dagster_run)}
    if not runs:
        return []
    with transaction(engine) as connection:
        activities = run_activities(connection, runs)
    dead: list[str] = []
    stuck: list[str] = []
    for run_id, record in runs.items():
        activity = activities.get(run_id)
        last_moved = activity.last_moved if activity else _start_of(record)
        is_held = activity is not None and activity.is_held
        if age_of(last_moved, now) >= (stuck_after + IDLE_LIMIT if is_held else IDLE_LIMIT):
            (stuck if is_held else dead).append(run_id)
    for run_id in stuck:
        _terminate(instance, run_id)
    ended = [*dead, *stuck]
    if ended:
        in_transaction(engine, lambda connection: interrupt_runs(connection, ended, now))
    for run_id in ended:
        instance.report_run_failed(
            runs[run_id].dagster_run,
            "the run made no progress for longer than its time limit, and was terminated"
            if run_id in stuck
            else "the run's process ended before the run was finished",
        )
    return ended


def _terminate(instance: DagsterInstance, run_id: str) -> None:
    """Terminate a run's process; Dagster cannot reach one that it did not launch."""
    try:
        reached = instance.run_launcher.terminate(run_id)
    except Exception as error:  # noqa: BLE001 - the run is failed whatever the error is
        log.warning("stuck_run_not_terminated", run_id=run_id, error=type(error).__name__)
    else:
        log.warning("stuck_run_terminated", run_id=run_id, reached=reached)


def _start_of(record: dg.RunRecord) -> datetime:
    if record.start_time is None:
        return record.create_timestamp
    return datetime.fromtimestamp(record.start_time, UTC)
