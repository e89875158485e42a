"""The code location: all definitions that Dagster loads.

The caller chooses the store, vault and providers (``Sources``), so that tests load the same
definitions over a fake vendor. Add an asset, check, job, schedule or sensor here.
"""

from datetime import date

import dagster as dg

from pims_pipeline.orchestration.assets.daily_report import build_daily_report
from pims_pipeline.orchestration.assets.maintenance import build_maintenance
from pims_pipeline.orchestration.assets.phases import build_assets
from pims_pipeline.orchestration.checks.freshness import build_freshness_checks
from pims_pipeline.orchestration.checks.phases import build_checks
from pims_pipeline.orchestration.jobs import EXECUTOR, build_jobs
from pims_pipeline.orchestration.partitions import clinic_days
from pims_pipeline.orchestration.resources import Sources, build_resources
from pims_pipeline.orchestration.schedules import build_schedules
from pims_pipeline.orchestration.sensors.alerts import alerting
from pims_pipeline.orchestration.sensors.clinic_partitions import clinic_partitions
from pims_pipeline.orchestration.sensors.freshness import build_freshness_sensor
from pims_pipeline.orchestration.sensors.scheduled_syncs import build_scheduled_syncs
from pims_pipeline.orchestration.sensors.webhooks import webhooks


def code_location(sources: Sources, *, partition_start: date) -> dg.Definitions:
    """Return the definitions over these sources. Opens and reads nothing.

    Args:
        sources: Where runs get the store, vault and providers from.
        partition_start: The first business date that has partitions.
    """
    jobs = build_jobs(sources.run_timeout)
    scheduled_syncs = build_scheduled_syncs(
        jobs,
        partition_start=partition_start,
        clinics_per_run=sources.clinics_per_run,
        run_timeout=sources.run_timeout,
    )
    scheduled = build_schedules(partition_start)
    return dg.Definitions(
        assets=[
            *build_assets(clinic_days(partition_start)),
            build_maintenance(),
            build_daily_report(partition_start),
        ],
        asset_checks=[*build_checks(), *build_freshness_checks()],
        jobs=[*jobs, *scheduled.jobs],
        schedules=scheduled.schedules,
        sensors=[
            clinic_partitions,
            scheduled_syncs,
            alerting,
            webhooks,
            build_freshness_sensor(),
        ],
        resources=build_resources(sources),
        executor=EXECUTOR,
    )
