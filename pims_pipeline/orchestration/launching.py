"""Runs a job in this process, on the same instance as the webserver and the daemon.

The run has the code location and partitions of a run launched in the Dagster UI, so that it can be
found and executed again there. Unlike ``JobDefinition.execute_in_process``, this keeps the job's
own executor (see ``jobs.EXECUTOR``).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.dagster_names import (
    DEFINITIONS_ATTRIBUTE,
    DEFINITIONS_MODULE,
    LOCATION,
    REPOSITORY,
    clinic_tags,
    range_tags,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.orchestration._dagster_private import (
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RepoBackedJob,
    execute_run,
)
from pims_pipeline.orchestration.jobs import JOBS
from pims_pipeline.orchestration.partitions import boxes, register_clinics
from pims_pipeline.orchestration.run_events import is_interrupt
from pims_pipeline.store.audits import Audit, audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.sync.windows import check_window


class SelectionNotRectangular(ValueError):
    """The clinics are not neighbours: a run that covers them would cover others too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """How a run in this process ended.

    Attributes:
        success: Whether every step succeeded: every phase of every clinic, every blocking
            check.
        interrupted: Whether Ctrl-C or SIGTERM stopped it. Dagster ends the run and does not pass
            the interrupt on.
        audits: The run's audits, in the order of their start.
    """

    run_id: str
    success: bool
    interrupted: bool
    audits: list[Audit]


def run_in_process(
    definitions: dg.Definitions,
    job_name: str,
    *,
    slugs: Sequence[str],
    window: DateRange,
    partition_start: date,
    instance: DagsterInstance,
    engine: Engine,
    run_id: str | None = None,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> JobOutcome:
    """Run a job over the clinics' partitions of a window, and wait for it.

    Args:
        definitions: The code location's definitions.
        job_name: One of ``jobs.JOBS``.
        slugs: Clinics that are neighbours in the order of registration; see
            ``partitions.boxes``. Missing partitions are added.
        window: The business dates.
        partition_start: The first date that has partitions.
        instance: Where the run is recorded.
        engine: The database of cases.
        run_id: The run's UUID; by default a new one.
        run_config: The run configuration, as in the launchpad of the Dagster UI.
        tags: Tags to add to the run.

    Raises:
        OutsidePartitions: If dates of the window have no partitions.
        SelectionNotRectangular: If the clinics are not neighbours.
        KeyError: If there is no such job.
    """
    if job_name not in JOBS:
        raise KeyError(job_name)
    check_window(partition_start, window, datetime.now(UTC).date())
    register_clinics(instance, slugs)
    found = boxes(instance, slugs)
    if len(found) != 1:
        raise SelectionNotRectangular(
            f"no single run covers {', '.join(slugs)} alone; sync them one by one"
        )
    job = RepoBackedJob(job_name, definitions.get_repository_def())
    definition = job.get_definition()
    run = instance.create_run_for_job(
        job_def=definition,
        run_id=run_id,
        run_config=run_config,
        tags={
            **definition.run_tags,
            **clinic_tags(slugs),
            **(tags or {}),
            **range_tags(found[0], window),
        },
        remote_job_origin=job_origin(job_name),
    )
    return _execute(job, run, instance, engine)


def _execute(
    job: RepoBackedJob, run: dg.DagsterRun, instance: DagsterInstance, engine: Engine
) -> JobOutcome:
    result = execute_run(job, run, instance)
    with transaction(engine) as connection:
        audits = audits_of_run(connection, run.run_id)
    return JobOutcome(
        run_id=run.run_id,
        success=result.success,
        interrupted=any(is_interrupt(event) for event in result.all_events),
        audits=audits,
    )


def job_origin(job_name: str) -> RemoteJobOrigin:
    """Return the job's origin, as the webserver reads it from ``workspace.yaml``."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        loadable_target_origin=LoadableTargetOrigin(
            executable_path=sys.executable,
            module_name=DEFINITIONS_MODULE,
            attribute=DEFINITIONS_ATTRIBUTE,
        ),
        location_name=LOCATION,
    )
    return RemoteRepositoryOrigin(location, REPOSITORY).get_job_origin(job_name)
