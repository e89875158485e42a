"""The nightly schedules and their jobs: the maintenance, and the report of each day.

Clinics' own schedules are in the database; ``sensors.scheduled_syncs`` starts their syncs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta

import dagster as dg

from pims_pipeline.orchestration._dagster_private import UnresolvedAssetJobDefinition
from pims_pipeline.orchestration.assets.daily_report import DAILY_REPORT
from pims_pipeline.orchestration.assets.maintenance import MAINTENANCE
from pims_pipeline.orchestration.jobs import EXECUTOR, NO_RETRIES

MAINTENANCE_CRON = "40 3 * * *"
"""In UTC."""

REPORT_CRON = "10 0 * * *"
"""In UTC; after the end of the reported day."""


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """Schedules, and the jobs that they start."""

    jobs: Sequence[UnresolvedAssetJobDefinition]
    schedules: Sequence[dg.ScheduleDefinition]


def build_schedules(partition_start: date) -> ScheduleOptions:
    """Return the schedules and their jobs; reports begin on ``partition_start``."""
    maintenance = _job(
        "nightly_maintenance", MAINTENANCE, "Deletes what expired, and checks yesterday again."
    )
    report = _job(
        "nightly_report", DAILY_REPORT, "Reports the syncs, cases, holds and failures of a day."
    )
    return ScheduleOptions(
        jobs=[maintenance, report],
        schedules=[_nightly_maintenance(maintenance), _nightly_report(report, partition_start)],
    )


def _job(name: str, asset: str, description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(asset),
        description=description,
        executor_def=EXECUTOR,
        tags=NO_RETRIES,
    )


def _nightly_maintenance(job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="nightly_maintenance",
        job=job,
        cron_schedule=MAINTENANCE_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night at 03:40 UTC: runs the asset `maintenance`.",
    )


def _nightly_report(
    job: UnresolvedAssetJobDefinition, partition_start: date
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="nightly_report",
        job=job,
        cron_schedule=REPORT_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night at 00:10 UTC: runs the asset `daily_report` for the day before.",
    )
    def nightly_report(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
        if day < partition_start:
            return dg.SkipReason(f"reports begin on {partition_start}")
        return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())

    return nightly_report
