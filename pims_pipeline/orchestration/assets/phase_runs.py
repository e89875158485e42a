"""Runs a phase over the partitions of a Dagster run; the assets are in ``phases``."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

import dagster as dg

from pims_pipeline.dagster_names import PHASE_TAG, clinic_tags, clinics_tagged, sync_id_of
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.logging import bound_context
from pims_pipeline.orchestration._dagster_private import add_partition_metadata
from pims_pipeline.orchestration.assets.materializations import PhaseReport
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.resources import VendorAccess
from pims_pipeline.orchestration.run_scope import is_scheduled_inbound, phases_of
from pims_pipeline.sync.runner import (
    ClinicReport,
    PhaseFunction,
    RunLedger,
    run_clinics,
    sync_clinic,
)

MAX_TAGGED = 100
"""A run that was started by hand is tagged with its clinics if these are no more."""


def run_phase(
    context: dg.AssetExecutionContext,
    provider: VendorAccess,
    ledger: RunLedger,
    sync_type: Phase,
    phase: PhaseFunction,
) -> PhaseReport:
    """Run a phase over the selected partitions and report each partition to Dagster.

    Threads sync the clinics; only the calling thread talks to Dagster.
    """
    selection = selected_days(context.partition_keys)
    _tag(context, selection, sync_type)

    # Other syncs must be complete, and a reconciliation needs a listing.
    age = provider.whole_listing_age if is_scheduled_inbound(context.run) else None
    run = replace(provider.context, whole_listing_age=age)
    # The id that the API returned belongs to the run's first audit.
    promised_id = sync_id_of(context.run.tags) if _is_first(context.run, sync_type) else None
    first_clinic = next(iter(selection), None)

    def work(slug: str, days: Sequence[date]) -> ClinicReport:
        limited = replace(run, stop=provider.clinic_signal(slug, sync_type))
        with bound_context(clinic=slug, phase=sync_type.value, run_id=run.run_id):
            return sync_clinic(
                limited,
                slug,
                days,
                phase,
                ledger=ledger,
                first_audit_id=promised_id if slug == first_clinic else None,
            )

    reports = []
    for clinic in run_clinics(selection, work, at_once=provider.clinics_at_once, stop=run.stop):
        reports.append(clinic)
        for line in _lines(clinic):
            context.log.info(line)
    by_slug = sorted(reports, key=lambda each: each.slug)
    report = PhaseReport(sync_type, by_slug, run.run_id, provider.console)
    if report.failed:
        for key, metadata in report.partitions():
            context.log_event(
                dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
            )
    else:
        # Dagster then materializes all partitions in batches, which is cheaper.
        add_partition_metadata(context, report.partitions())
    return report


def _is_first(run: dg.DagsterRun, sync_type: Phase) -> bool:
    """Whether the phase is the first one of the run."""
    phases = phases_of(run)
    return sync_type == next((phase for phase in Phase if phase in phases), None)


def _tag(context: dg.AssetExecutionContext, slugs: Collection[str], sync_type: Phase) -> None:
    """Tag a run that was started by hand, so that it can be found by clinic and phase."""
    run = context.run
    if not _is_first(run, sync_type):
        return
    phases = phases_of(run)
    tags: dict[str, str] = {}
    if len(slugs) <= MAX_TAGGED and not clinics_tagged(run.tags):
        tags |= clinic_tags(slugs)
    if PHASE_TAG not in run.tags and len(phases) in {1, len(Phase)}:
        tags[PHASE_TAG] = "full" if len(phases) > 1 else sync_type.value
    if tags:
        context.instance.add_run_tags(run.run_id, tags)


def _lines(clinic: ClinicReport) -> Iterator[str]:
    for outcome in clinic.outcomes:
        yield f"{clinic.slug}, {outcome.window}: {outcome.status}, {outcome.counts.nonzero()}"
    for failure in clinic.failures:
        yield f"{clinic.slug}, {failure.window}: failed ({failure.error_class})"
