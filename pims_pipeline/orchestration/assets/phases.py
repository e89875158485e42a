"""The three phases as assets over clinics × business dates, and the world around them.

One run takes any selection of partitions: one key, a range of one clinic, or a box of
clinics × dates. Its clinics are worked on side by side and fail each for itself. When one
fails, three things must hold at once: the other clinics' partitions are materialized, in
all three assets; the failed clinic's partitions show as failed; and the run fails.

Dagster materializes either every partition of a step or, when the body raises, none, and
a failed step's dependents are not executed. So a phase's body does not raise. It logs the
good partitions' materializations itself and hands its report on; the step's output exists
from then on, and only storing it fails: ``reports.ReportIOManager`` raises the failure that
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
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TypeVar
from uuid import UUID

import dagster as dg
from pydantic import Field

from pims_pipeline.dagster_names import PHASE_TAG, clinic_tags, clinics_tagged, sync_id_of
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import PHASE_OF_ASSET, Phase
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.observability.logging import bound_context
from pims_pipeline.orchestration.assets.catalog import (
    ARCHITECTURE,
    OWNERS,
    RUNBOOK,
    SYNC,
    documents,
    kept,
    written,
)
from pims_pipeline.orchestration.assets.materializations import PhaseReport
from pims_pipeline.orchestration.partitions import selected_days
from pims_pipeline.orchestration.resources import VendorAccess
from pims_pipeline.orchestration.sensors.scheduled_runs import phases_of
from pims_pipeline.store.clinics import schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import UnknownHold
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.runner import (
    ClinicReport,
    PhaseFunction,
    RunLedger,
    run_clinics,
    sync_clinic,
)
from pims_pipeline.sync.session import ProviderSession

Number = TypeVar("Number", int, float)

MAX_TAGGED = 100
"""Clinics of a run that was started by hand up to which it is tagged with each of them."""

VENDOR_POOL = "vendors"
"""Every step that asks vendors is in it: ``dagster.yaml`` limits the runs that have such."""

VENDOR_CALENDAR = dg.AssetSpec(
    "vendor_calendar",
    description="The clinics' calendars, as kept in their practice management systems. "
    "Asked for in listings of at most 31 days; nothing is ever written there.",
    group_name=SYNC,
    kinds={"api"},
    metadata=documents(f"{RUNBOOK}#errors-from-the-vendor"),
)
VENDOR_CONSULTATIONS = dg.AssetSpec(
    "vendor_consultations",
    description="The consultations, as kept in the clinics' practice management systems. "
    "Asked for one by one, an appointment's when it is due.",
    group_name=SYNC,
    kinds={"api"},
    metadata=documents(f"{RUNBOOK}#errors-from-the-vendor"),
)
CASES = dg.AssetSpec(
    "cases",
    deps=list(PHASE_OF_ASSET),
    description="The table of cases that applications read and people work with. "
    "What people change on a case stands: see docs/decisions/0006-people-edits-stand.md. "
    "`pims cases show ID` tells a case's whole story.",
    group_name=SYNC,
    owners=OWNERS,
    kinds={"postgres", "table"},
    metadata={**kept("cases"), **documents(f"{RUNBOOK}#a-case-looks-wrong")},
)
CASE_EVENTS = dg.AssetSpec(
    "case_events",
    deps=list(PHASE_OF_ASSET),
    description="Every change of every case: before, after, and the audit, run and partition "
    "that made it. Only ever added to.",
    group_name=SYNC,
    owners=OWNERS,
    kinds={"postgres", "table"},
    metadata={**kept("case_events"), **documents(f"{ARCHITECTURE}#tables")},
)

_APPOINTMENTS = """\
The vendor's calendar, landed, and the cases it makes, moves and restores.

**From** one listing of the clinic's calendar per window of at most 31 days, each record compared
with what was landed before.

**A partition** is one business date of one clinic, in its own time zone; it is materialized when a
whole listing that covers it was landed and applied.

**When it fails**, nothing of the window was written, and later phases of the run leave the clinic's
dates alone; other clinics are not affected. The failed step names clinic, window and error: look
the error up in docs/runbook.md, "Errors from the vendor". The next scheduled sync tries again."""

_CONSULTATIONS = """\
The consultations of past appointments, put on their cases as `metadata.consultation`.

**From** one request to the vendor for each appointment whose consultation is due: never fetched,
changed since, or old enough to be fetched again.

**A partition** is one business date of one clinic, in its own time zone; it is materialized when
every record that was due has been asked for.

**When it fails**, no record could be had for the whole window. Single records that cannot be had do
not fail it: they become open failures and are tried again. Look the error up in docs/runbook.md,
"Errors from the vendor"; open failures under "Dead letters"."""

_RECONCILIATION = """\
Cases whose appointment is gone at the vendor, retired (soft-deleted), or held for a decision.

**From** a complete listing, and one look-up at the vendor for each appointment missing from it.

**A partition** is one business date of one clinic, in its own time zone; it is materialized when
its cases were compared with the calendar, also when their retirement is held.

**When it fails**, nothing was retired: look the error up in docs/runbook.md, "Errors from the
vendor". When the check `deletion_guard` fails, too much vanished at once: see "deletion_guard"
there, and `pims holds list`."""


class EnrichmentConfig(dg.Config):
    """What may be chosen when consultations are fetched."""

    parallel_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="Consultations fetched side by side; the clinic's own number when unset.",
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
        description="Share of a window's active cases that may be retired at once; also.",
    )
    approve_hold: str | None = Field(
        default=None,
        description="The id of a hold to approve. Select exactly the hold's partitions.",
    )
    approved_by: str = Field(
        default="somebody at the Dagster UI", description="Who approves it, for the record."
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
        Phase.INBOUND,
        deps=[VENDOR_CALENDAR],
        description=_APPOINTMENTS,
        writes=("pims_appointments", "cases", "case_events", "sync_failures"),
    )
    def appointments(
        context: dg.AssetExecutionContext,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        report = run_phase(context, provider, ledger, Phase.INBOUND, sync_appointments)
        for clinic in report.failed:
            ledger.bar(clinic.slug, clinic.failed_days, "its appointments failed in this run")
        return report

    @_asset(
        partitions,
        Phase.CASES,
        deps=[appointments, VENDOR_CONSULTATIONS],
        description=_CONSULTATIONS,
        writes=("cases", "case_events", "sync_failures"),
    )
    def consultations(
        context: dg.AssetExecutionContext,
        config: EnrichmentConfig,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        enrich = partial(_enrich, workers=config.parallel_batch_size)
        return run_phase(context, provider, ledger, Phase.CASES, enrich)

    @_asset(
        partitions,
        Phase.RECONCILIATION,
        deps=[appointments],
        description=_RECONCILIATION,
        writes=("cases", "case_events", "reconciliation_holds"),
    )
    def reconciliation(
        context: dg.AssetExecutionContext,
        config: ReconciliationConfig,
        provider: dg.ResourceParam[VendorAccess],
        ledger: dg.ResourceParam[RunLedger],
    ) -> PhaseReport:
        reconcile = partial(_reconcile, config=config)
        return run_phase(context, provider, ledger, Phase.RECONCILIATION, reconcile)

    external = [VENDOR_CALENDAR, VENDOR_CONSULTATIONS, CASES, CASE_EVENTS]
    return [appointments, consultations, reconciliation, *external]


def _asset(
    partitions: dg.MultiPartitionsDefinition,
    phase: Phase,
    *,
    deps: Sequence[dg.AssetSpec | dg.AssetsDefinition],
    description: str,
    writes: Sequence[str],
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
            pool=VENDOR_POOL,
            group_name=SYNC,
            owners=OWNERS,
            kinds={"python", "postgres"},
            tags={PHASE_TAG: phase.value},
            metadata={
                **written(*writes),
                **documents(f"{RUNBOOK}#errors-from-the-vendor", f"{ARCHITECTURE}#one-clinics-day"),
            },
        )


def _enrich(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    audit_id: UUID | None,
    workers: int | None,
) -> PhaseOutcome:
    if workers is None:
        with transaction(context.engine) as connection:
            workers = schedule_config(connection, clinic).parallel_batch_size
    return enrich_cases(context, clinic, window, session, workers=workers, audit_id=audit_id)


def _reconcile(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    audit_id: UUID | None,
    config: ReconciliationConfig,
) -> PhaseOutcome:
    limited = replace(context, deletion_policy=config.limits(context.deletion_policy))
    return reconcile_cases(
        limited, clinic, window, session, approval=config.approval(), audit_id=audit_id
    )


def run_phase(
    context: dg.AssetExecutionContext,
    provider: VendorAccess,
    ledger: RunLedger,
    sync_type: Phase,
    phase: PhaseFunction,
) -> PhaseReport:
    """Run a phase over the selected partitions and tell Dagster what became of each.

    Threads do the work; everything is told to Dagster from this one.
    """
    selection = selected_days(context.partition_keys)
    _tag(context, selection, sync_type)

    run = provider.context
    # The id that the API answered with belongs to the run's first audit.
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


def _is_first(run: dg.DagsterRun, sync_type: Phase) -> bool:
    """Whether the phase is the first of those that the run does."""
    phases = phases_of(run)
    return sync_type == next((phase for phase in Phase if phase in phases), None)


def _tag(context: dg.AssetExecutionContext, slugs: Collection[str], sync_type: Phase) -> None:
    """Let a run that somebody started by hand be found by clinic and phase too."""
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
