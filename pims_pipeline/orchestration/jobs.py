"""The jobs: each phase alone, and all three; with the checks of their assets.

What the assets do stands in ``assets``; when jobs run by themselves, in sensors and
schedules.
"""

import dagster as dg

# What define_asset_job gives has no public name.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)
"""Runs steps in the run's own process, one after the other, as soon as the outputs they need
exist: see ``assets`` for why. A process per step would cost seconds each."""

JOBS = {
    "inbound_sync": ("The diary into appointments and cases.", ["appointments"]),
    "case_sync": ("Medical records onto cases.", ["consultations"]),
    "reconciliation_sync": ("Cases without a visit, retired.", ["reconciliation"]),
    "full_sync": (
        "All three phases over the same clinics and dates.",
        ["appointments", "consultations", "reconciliation"],
    ),
}

_TAGS = {
    # A failed run is a matter for the next scheduled one, or for a person; adapters have
    # tried again what is worth it, and a second login with a refused password locks accounts.
    "dagster/max_retries": "0",
}


def build_jobs() -> list[UnresolvedAssetJobDefinition]:
    """The jobs of ``JOBS``, over the partitions of their assets."""
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*assets),
            description=description,
            executor_def=EXECUTOR,
            tags=_TAGS,
        )
        for name, (description, assets) in JOBS.items()
    ]
