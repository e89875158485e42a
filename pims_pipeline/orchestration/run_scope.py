"""Which phases and clinics a run works on, read from its job, assets and tags."""

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterInstance

from pims_pipeline.dagster_names import (
    ACTIVE_STATUSES,
    ASSET_JOB,
    ORIGIN_TAG,
    SCHEDULE_ORIGIN,
    WAITING_STATUSES,
    clinics_tagged,
)
from pims_pipeline.domain.phases import PHASE_OF_ASSET, PHASES, PHASES_OF, Phase
from pims_pipeline.orchestration.jobs import JOBS
from pims_pipeline.orchestration.partitions import clinics_between

UNFINISHED = [dg.DagsterRunStatus[name] for name in (*WAITING_STATUSES, *ACTIVE_STATUSES)]
"""The statuses of runs that wait in the queue or are executed."""

ClinicPhase = tuple[Phase, str]
"""A phase and a clinic's slug."""


def phases_of(run: dg.DagsterRun) -> set[Phase]:
    """Return the phases of a run; none for a run that does not sync."""
    if run.asset_selection is not None:
        names = {key.to_user_string() for key in run.asset_selection}
        return {phase for asset, phase in PHASE_OF_ASSET.items() if asset in names}
    if run.job_name in JOBS:
        return set(PHASES_OF[JOBS[run.job_name]])
    return set(PHASES) if run.job_name == ASSET_JOB else set()


def is_scheduled_inbound(run: dg.DagsterRun) -> bool:
    """Whether a schedule started the run, to sync the calendar and nothing else."""
    return run.tags.get(ORIGIN_TAG) == SCHEDULE_ORIGIN and phases_of(run) == {Phase.INBOUND}


def clinic_phases_of(run: dg.DagsterRun, order: Sequence[str]) -> set[ClinicPhase]:
    """Return each phase and clinic of a run.

    Args:
        run: Any run.
        order: Every clinic that has partitions, in the order of registration.
    """
    slugs = clinics_tagged(run.tags) or clinics_between(order, run.tags)
    return {(phase, slug) for phase in phases_of(run) for slug in slugs}


def active_clinic_phases(instance: DagsterInstance, order: Sequence[str]) -> set[ClinicPhase]:
    """Return each phase and clinic of all unfinished runs, scheduled or not."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return {each for run in runs for each in clinic_phases_of(run, order)}
