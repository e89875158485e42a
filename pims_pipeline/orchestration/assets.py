"""The three phases as assets over clinics × business dates, and the world around them.

One run takes any selection of partitions: one key, a range of one clinic, or a box of
clinics × dates. Its clinics are worked on side by side and fail each for itself. When one
fails, three things must hold at once: the other clinics' partitions are materialized, in
all three assets; the failed clinic's partitions show as failed; and the run fails.

Dagster materializes either every partition of a step or, when the body raises, none, and
a failed step's dependents are not executed. So a phase's body does not raise. It logs the
good partitions' materializations itself and hands its report on; the step's output exists
from then on, and only storing it fails: ``reports.ReportKeeper`` raises the failure that
names the clinics. The executor (``jobs.EXECUTOR``) starts a step as soon as the outputs it
needs exist, rather than when the steps before it have succeeded: a public setting of
Dagster's in-process executor. One clinic's changed password thus costs the others nothing.
Merging the three assets into one step would do so too, but a failed step's checks are not
executed, and the timeline would not tell the phases apart.

What must not go on is kept in the run's ledger, clinic by clinic: later phases leave the
partitions alone whose appointments failed, or failed a blocking check. Dagster's own gating
would stop every clinic of the run.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from threading import Event
from typing import TypeVar
from uuid import UUID

import dagster as dg
from pydantic import Field

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome, SyncType
from pims_pipeline.domain.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.phases import (
    PhaseFunction,
    RunLedger,
    side_by_side,
    work_on_clinic,
)
from pims_pipeline.orchestration.reports import ClinicReport, PhaseReport
from pims_pipeline.orchestration.resources import VendorAccess
from pims_pipeline.store.clinics import schedule_config
from pims_pipeline.store.database import transaction
from pims_pipeline.store.holds import UnknownHold
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.enrichment import enrich_cases
from pims_pipeline.sync.inbound import sync_appointments
from pims_pipeline.sync.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.session import ProviderSession

GROUP = "pims"
OWNERS = ["team:platform"]
Number = TypeVar("Number", int, float)

VENDOR_DIARY = dg.AssetSpec(
    "vendor_diary",
    description="The clinics' diaries, as kept in their practice management systems.",
    group_name=GROUP,
    kinds={"api"},
)
VENDOR_CONSULTATIONS = dg.AssetSpec(
    "vendor_consultations",
    description="The medical records, as kept in the clinics' practice management systems.",
    group_name=GROUP,
    kinds={"api"},
)
CASES = dg.AssetSpec(
    "cases",
    deps=["appointments", "consultations", "reconciliation"],
    description="The table of cases that applications read and people work with.",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres", "table"},
)


class EnrichmentConfig(dg.Config):
    """What may be chosen when consultations are fetched."""

    parallel_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="Medical records fetched side by side; the clinic's own number when unset.",
    )


class ReconciliationConfig(dg.Config):
    """What may be chosen when cases are reconciled."""

    deletion_guard_min: int | None = Field(
        default=None,
        ge=0,
        description="So many cases may always be retired; the setting of that name when unset.",
    )
    deletion_guard_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Share of a window's active cases that may be retired at once; likewise.",
    )
    approve_hold: str | None = Field(
        default=None,
        description="The id of a hold to approve. Select exactly the hold's partitions.",
    )
    approved_by: str = Field(
        default="somebody at Dagster's pages", description="Who approves it, for the record."
    )

    def approval(self) -> Approval | None:
        """The consent that the config gives, if it does.

        Raises:
            UnknownHold: If what it names cannot be a hold.
        """
        if self.approve_hold is None:
            return None
        try:
            return Approval(UUID(self.approve_hold), self.approved_by)
        except ValueError:
            raise UnknownHold("approve_hold is not the id of a hold") from None

    def limits(self, policy: DeletionPolicy) -> DeletionPolicy:
        """The policy with this run's limits in place of its own."""
        return replace(
            policy,
            min_orphans=_chosen(self.deletion_guard_min, policy.min_orphans),
            max_percent=_chosen(self.deletion_guard_percent, policy.max_percent),
        )


def _chosen(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def build_assets(
    partitions: dg.MultiPartitionsDefinition,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets, partitioned so, with the external ones that tell where data comes from."""

    @_asset(
        partitions,
        SyncType.INBOUND,
        deps=[VENDOR_DIARY],
        description="The vendor's diary, landed, and the cases it makes, moves and restores.",
    )
    def appointments(
        context: dg.AssetExecutionContext,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        report = run_phase(context, provider, ledger, SyncType.INBOUND, sync_appointments)
        for clinic in report.failed:
            ledger.bar(clinic.slug, clinic.failed_days, "its appointments failed in this run")
        return report

    @_asset(
        partitions,
        SyncType.CASES,
        deps=[appointments, VENDOR_CONSULTATIONS],
        description="The medical records of past visits, put on their cases.",
    )
    def consultations(
        context: dg.AssetExecutionContext,
        config: EnrichmentConfig,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        enrich = partial(_enrich, workers=config.parallel_batch_size)
        return run_phase(context, provider, ledger, SyncType.CASES, enrich)

    @_asset(
        partitions,
        SyncType.RECONCILIATION,
        deps=[appointments],
        description="Cases whose visit is gone at the vendor, retired; or held for a person.",
    )
    def reconciliation(
        context: dg.AssetExecutionContext,
        config: ReconciliationConfig,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        reconcile = partial(_reconcile, config=config)
        return run_phase(context, provider, ledger, SyncType.RECONCILIATION, reconcile)

    return [appointments, consultations, reconciliation, VENDOR_DIARY, VENDOR_CONSULTATIONS, CASES]


def _asset(
    partitions: dg.MultiPartitionsDefinition,
    phase: SyncType,
    *,
    deps: Sequence[dg.AssetSpec | dg.AssetsDefinition],
    description: str,
) -> Callable[[Callable[..., PhaseReport]], dg.AssetsDefinition]:
    """The decorator of the three assets, with what they have in common."""
    with warnings.catch_warnings():
        # A single run per backfill is beta in Dagster, and says so once per asset.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            deps=deps,
            description=description,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            io_manager_key="reports",
            group_name=GROUP,
            owners=OWNERS,
            kinds={"python", "postgres"},
            tags={"pims/phase": phase.value},
        )


def _enrich(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    workers: int | None,
) -> PhaseOutcome:
    if workers is None:
        with transaction(context.engine) as connection:
            workers = schedule_config(connection, clinic).parallel_batch_size
    return enrich_cases(context, clinic, window, session, workers=workers)


def _reconcile(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    config: ReconciliationConfig,
) -> PhaseOutcome:
    limited = replace(context, deletion_policy=config.limits(context.deletion_policy))
    return reconcile_cases(limited, clinic, window, session, approval=config.approval())


def run_phase(
    context: dg.AssetExecutionContext,
    provider: VendorAccess,
    ledger: RunLedger,
    sync_type: SyncType,
    phase: PhaseFunction,
) -> PhaseReport:
    """Run a phase over the selected partitions and tell Dagster what became of each.

    Threads do the work; everything is told to Dagster from this one.
    """
    selection = selected_days(context.partition_keys)

    def work(slug: str, days: Sequence[date], stop: Event) -> ClinicReport:
        return work_on_clinic(provider.context, slug, days, phase, stop=stop, ledger=ledger)

    reports = []
    for clinic in side_by_side(selection, work, at_once=provider.clinics_at_once):
        reports.append(clinic)
        for line in _lines(clinic):
            context.log.info(line)
    report = PhaseReport(sync_type, sorted(reports, key=lambda each: each.slug))
    if report.failed:
        for key, metadata in report.partitions():
            context.log_event(
                dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
            )
    else:
        # Dagster materializes every partition itself, in batches, which is cheaper.
        for key, metadata in report.partitions():
            context.add_asset_metadata(metadata, partition_key=key)
    return report


def _lines(clinic: ClinicReport) -> Iterator[str]:
    for outcome in clinic.outcomes:
        yield f"{clinic.slug}, {outcome.window}: {outcome.status}, {outcome.counts.nonzero()}"
    for failure in clinic.failures:
        yield f"{clinic.slug}, {failure.window}: failed ({failure.error_class})"
