"""The jobs that sync: each phase alone, and all three; with the checks of their assets.

What the assets do stands in ``assets``; when jobs run by themselves, in sensors. What else
runs by the clock stands in ``schedules``.
"""

import dagster as dg

# What define_asset_job gives has no public name.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pims_pipeline.orchestration.freshness import FRESH_CHECKS
from pims_pipeline.sync.run_tags import JOB_OF, PHASE_OF, PHASE_TAG

EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)
"""Runs steps in the run's own process, one after the other, as soon as the outputs they need
exist: see ``assets`` for why. A process per step would cost seconds each."""

JOBS = {
    "inbound_sync": (
        "The diary into appointments and cases, over any clinics and dates.",
        ["appointments"],
    ),
    "case_sync": (
        "Medical records onto cases, over any clinics and dates. The diary must have been landed.",
        ["consultations"],
    ),
    "reconciliation_sync": (
        "Cases without a visit, retired, or a hold approved (`approve_hold`, see the runbook).",
        ["reconciliation"],
    ),
    "full_sync": (
        "All three phases over the same clinics and dates, one listing for all.",
        ["appointments", "consultations", "reconciliation"],
    ),
}

NO_RETRIES = {
    # A failed run is a matter for the next scheduled one, or for a person; adapters have
    # tried again what is worth it, and a second login with a refused password locks accounts.
    "dagster/max_retries": "0",
}


MAX_RUNTIME_TAG = "dagster/max_runtime"
"""Seconds after which Dagster's daemon ends a run."""

MAX_RUNTIME_GRACE = 600
"""Seconds more than a run's own limit, at which it ends by itself and in order."""


def build_jobs(run_timeout: float) -> list[UnresolvedAssetJobDefinition]:
    """The jobs of ``JOBS``, over the partitions of their assets.

    ``run_timeout`` is in seconds; ``dagster.yaml`` has a limit for runs without a job of ours.
    """
    max_runtime = str(round(run_timeout) + MAX_RUNTIME_GRACE)
    phases = {JOB_OF[scope]: phase for scope, phase in PHASE_OF.items()}
    # A sensor evaluates those, for all clinics at once.
    checks_apart = dg.AssetSelection.checks(*FRESH_CHECKS.values())
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*assets) - checks_apart,
            description=description,
            executor_def=EXECUTOR,
            tags={**NO_RETRIES, PHASE_TAG: phases[name], MAX_RUNTIME_TAG: max_runtime},
        )
        for name, (description, assets) in JOBS.items()
    ]
