"""The limits of ``dagster.yaml`` on the queue of runs, applied by Dagster's own daemon."""

from dataclasses import replace

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from pims_pipeline.dagster_names import range_tags
from pims_pipeline.orchestration.launching import job_origin
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days

SCHEDULED = {"pims/origin": "schedule", "dagster/priority": "-1"}
BACKFILL = {"dagster/backfill": "week"}
BY_HAND: dict[str, str] = {}
QUEUED = dg.DagsterRunStatus.QUEUED
STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def queue(deployment: DagsterDeployment, postgres_instance: DagsterInstance) -> DagsterDeployment:
    register_clinics(postgres_instance, SLUGS)
    return replace(deployment, instance=postgres_instance)


def add(
    queue: DagsterDeployment,
    *tags: dict[str, str],
    job: str = "inbound_sync",
    status: dg.DagsterRunStatus = QUEUED,
) -> list[str]:
    """Create runs with these tags, in this order, and return their ids."""
    box = range_tags(("alder", "alder"), days(0, 0)) if job == "inbound_sync" else {}
    return [
        queue.instance.create_run_for_job(
            job_def=queue.definitions.get_repository_def().get_job(job),
            tags={**box, **each},
            status=status,
            remote_job_origin=job_origin(job),
        ).run_id
        for each in tags
    ]


def dequeued(queue: DagsterDeployment) -> list[str]:
    """The ids of the runs that leave the queue now, in order."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
    config = queue.instance.get_concurrency_config()
    found = daemon._get_runs_to_dequeue(queue.instance, config, fixed_iteration_time=None)
    return [run.run_id for run in found]


def test_runs_by_hand_go_first_and_one_slot_is_for_runs_without_vendors(
    queue: DagsterDeployment,
) -> None:
    scheduled = add(queue, SCHEDULED, SCHEDULED, SCHEDULED)
    backfill = add(queue, BACKFILL, BACKFILL)
    by_hand = add(queue, BY_HAND)
    maintenance = add(queue, BY_HAND, job="nightly_maintenance")
    assert dequeued(queue) == [backfill[0], *by_hand, *maintenance, *scheduled[:2]]


def test_however_much_is_scheduled_and_backfilled_a_run_by_hand_gets_through(
    queue: DagsterDeployment,
) -> None:
    add(queue, SCHEDULED, SCHEDULED, BACKFILL, status=STARTED)
    add(queue, *[SCHEDULED] * 5, *[BACKFILL] * 5)
    assert dequeued(queue) == []
    by_hand = add(queue, BY_HAND, BY_HAND)
    assert dequeued(queue) == by_hand[:1]


def test_the_pool_limits_the_runs_that_use_vendors(
    queue: DagsterDeployment,
) -> None:
    add(queue, *[BY_HAND] * 4, status=STARTED)
    add(queue, BY_HAND)
    maintenance = add(queue, BY_HAND, job="nightly_maintenance")
    dequeued(queue)  # Dagster creates the pool when it first sees a run that uses it.
    assert dequeued(queue) == maintenance


def test_a_run_on_the_command_line_does_not_wait(queue: DagsterDeployment) -> None:
    add(queue, *[BY_HAND] * 6, status=STARTED)
    assert queue.sync("inbound_sync", ["birch"], days(0, 0)).success
