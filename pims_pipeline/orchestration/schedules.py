"""What Dagster starts by the clock: the nightly maintenance and the report of each day.

When clinics are synced stands in the database, and is looked at by a sensor (``sensors``).
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
"""In UTC; after the end of the day that it tells of."""


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What starts by the clock, and what it starts."""

    jobs: Sequence[UnresolvedAssetJobDefinition]
    schedules: Sequence[dg.ScheduleDefinition]


def build_schedules(partition_start: date) -> ScheduleOptions:
    """The schedules and their jobs; reports begin with ``partition_start``."""
    maintenance = _job(
        "nightly_maintenance", MAINTENANCE, "Sweeps up what expired, and looks at yesterday again."
    )
    report = _job("nightly_report", DAILY_REPORT, "Tells what a day was like.")
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
        description="Every night: see the asset `maintenance`.",
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
        description="Shortly after midnight in UTC, of the day that ended: see `daily_report`.",
    )
    def nightly_report(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
        if day < partition_start:
            return dg.SkipReason(f"reports begin on {partition_start}")
        return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())

    return nightly_report
