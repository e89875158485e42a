"""The code location: everything Dagster is told of, put together.

Where runs get their store, vault and providers from is the caller's choice (``Sources``),
so that tests assemble the very same thing over a pretend vendor.
"""

from datetime import date

import dagster as dg

from pims_pipeline.orchestration.assets import build_assets
from pims_pipeline.orchestration.checks import build_checks
from pims_pipeline.orchestration.jobs import EXECUTOR, build_jobs
from pims_pipeline.orchestration.partitions import clinic_days
from pims_pipeline.orchestration.resources import Sources, build_resources
from pims_pipeline.orchestration.sensors import clinic_partitions


def code_location(sources: Sources, *, partition_start: date) -> dg.Definitions:
    """The definitions over these sources. Opens and reads nothing.

    Args:
        sources: What runs work with.
        partition_start: The first business date that has partitions.
    """
    return dg.Definitions(
        assets=build_assets(clinic_days(partition_start)),
        asset_checks=build_checks(),
        jobs=build_jobs(),
        sensors=[clinic_partitions],
        resources=build_resources(sources),
        executor=EXECUTOR,
    )
