"""The jobs that sync: each phase alone, and all three; with the checks of their assets.

What the assets do stands in ``assets``; when jobs run by themselves, in sensors. What else
runs by the clock stands in ``schedules``.
"""

from collections.abc import Mapping

import dagster as dg

from pims_pipeline.dagster_names import MAX_RETRIES_TAG, MAX_RUNTIME_TAG, PHASE_TAG
from pims_pipeline.domain.phases import JOB_OF, PHASES, PHASES_OF, SCOPES, TYPE_OF, Scope
from pims_pipeline.orchestration._dagster_private import UnresolvedAssetJobDefinition
from pims_pipeline.orchestration.checks.freshness import FRESH_CHECKS

EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)
"""Runs steps in the run's own process, one after the other, as soon as the outputs they need
exist: see ``assets`` for why. A process per step would cost seconds each."""

_DESCRIPTIONS: Mapping[Scope, str] = {
    **{names.scope: names.summary for names in PHASES.values()},
    "full": "All phases over the same clinics and dates, one listing for all.",
}
_NOTES: Mapping[Scope, str] = {
    "cases": " The calendar must have been landed.",
    "reconcile": " Or approves a hold (`approve_hold`, see the runbook).",
}
"""What else is to be known before a job is launched."""

JOBS: Mapping[str, Scope] = {JOB_OF[scope]: scope for scope in SCOPES}
"""What each job syncs, by the job's name."""

NO_RETRIES = {
    # A failed run is a matter for the next scheduled one, or for a person; adapters have
    # tried again what is worth it, and a second login with a refused password locks accounts.
    MAX_RETRIES_TAG: "0",
}


MAX_RUNTIME_GRACE = 600
"""Seconds more than a run's own limit, at which it ends by itself and in order."""


def build_jobs(run_timeout: float) -> list[UnresolvedAssetJobDefinition]:
    """The jobs of ``JOBS``, over the partitions of their assets.

    ``run_timeout`` is in seconds; ``dagster.yaml`` has a limit for runs without a job of ours.
    """
    max_runtime = str(round(run_timeout) + MAX_RUNTIME_GRACE)
    # A sensor evaluates those, for all clinics at once.
    checks_apart = dg.AssetSelection.checks(*FRESH_CHECKS.values())
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(*(each.names.asset for each in PHASES_OF[scope]))
            - checks_apart,
            description=_DESCRIPTIONS[scope] + _NOTES.get(scope, ""),
            executor_def=EXECUTOR,
            tags={**NO_RETRIES, PHASE_TAG: TYPE_OF[scope], MAX_RUNTIME_TAG: max_runtime},
        )
        for name, scope in JOBS.items()
    ]
