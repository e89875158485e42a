"""The jobs that sync: each phase alone, and all phases; with the checks of their assets.

Each ends with ``application_cases``, which works on clinics in mode ``live`` alone.

``assets`` defines what a job does, ``sensors`` when it starts. The nightly jobs are in
``schedules``.
"""

from collections.abc import Mapping

import dagster as dg

from pims_pipeline.dagster_names import MAX_RETRIES_TAG, MAX_RUNTIME_TAG, PHASE_TAG
from pims_pipeline.domain.phases import JOB_OF, PHASES, PHASES_OF, SCOPES, TYPE_OF, Scope
from pims_pipeline.orchestration._dagster_private import UnresolvedAssetJobDefinition
from pims_pipeline.orchestration.assets.application_cases import APPLICATION_CASES
from pims_pipeline.orchestration.checks.freshness import FRESH_CHECKS

EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)
"""Runs steps one after the other in the run's own process; a process per step costs seconds. A
step starts when the outputs it needs exist: see ``assets.phases``."""

_DESCRIPTIONS: Mapping[Scope, str] = {
    **{names.scope: names.summary for names in PHASES.values()},
    "full": "All phases over the same clinics and dates, with one listing of the calendar.",
}
_NOTES: Mapping[Scope, str] = {
    "cases": " Land the calendar first (`inbound_sync`).",
    "reconcile": " Also approves a hold (`approve_hold`, see docs/runbook.md).",
}
"""What an operator needs to know before launching a job."""

JOBS: Mapping[str, Scope] = {JOB_OF[scope]: scope for scope in SCOPES}
"""Each job's scope, by the job's name."""

NO_RETRIES = {
    # The adapters have already retried transient errors, and a second login with a rejected
    # password locks accounts. The next scheduled run, or an operator, syncs again.
    MAX_RETRIES_TAG: "0",
}


MAX_RUNTIME_GRACE = 600
"""Seconds past a run's own limit after which Dagster ends it. At its own limit, a run ends in
order: it records what it did."""


def build_jobs(run_timeout: float) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs of ``JOBS``, over the partitions of their assets.

    Args:
        run_timeout: Seconds that a run may take. ``dagster.yaml`` limits runs of other jobs.
    """
    max_runtime = str(round(run_timeout) + MAX_RUNTIME_GRACE)
    # The sensor `freshness` evaluates these, for all clinics at once.
    checks_apart = dg.AssetSelection.checks(*FRESH_CHECKS.values())
    return [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(
                *(each.names.asset for each in PHASES_OF[scope]), APPLICATION_CASES
            )
            - checks_apart,
            description=_DESCRIPTIONS[scope] + _NOTES.get(scope, ""),
            executor_def=EXECUTOR,
            tags={**NO_RETRIES, PHASE_TAG: TYPE_OF[scope], MAX_RUNTIME_TAG: max_runtime},
        )
        for name, scope in JOBS.items()
    ]
