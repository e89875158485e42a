"""The assets of the three phases, over clinics × business dates.

One run takes any selection of partitions: one key, a range of one clinic, or clinics × dates. It
syncs its clinics in parallel. When one clinic fails, the other clinics' partitions must be
materialized in all three assets, the failed clinic's partitions must show as failed, and the run
must fail.

Dagster materializes all partitions of a step, or none if the body raises; and it does not execute
the steps after a failed one. So the body of a phase does not raise. It logs the materializations of
the good partitions itself and returns its report. Storing the report raises the failure that names
the clinics (``materializations.ReportIOManager``). The next step starts all the same, because
``jobs.EXECUTOR`` starts a step when the outputs it needs exist. One step for all phases would work
too, but Dagster does not execute the checks of a failed step, and the run's timeline would not
show the phases.

Later phases skip a clinic's partitions whose appointments failed, or failed a blocking check: the
run's ledger lists them. Dagster's own blocking would stop every clinic of the run.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import dagster as dg

from pims_pipeline.dagster_names import PHASE_TAG
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.assets.application_cases import build_application_cases
from pims_pipeline.orchestration.assets.catalog import (
    ARCHITECTURE,
    OWNERS,
    RUNBOOK,
    SYNC,
    documents,
    written_tables,
)
from pims_pipeline.orchestration.assets.config import EnrichmentConfig, ReconciliationConfig
from pims_pipeline.orchestration.assets.external import (
    EXTERNAL_ASSETS,
    VENDOR_CALENDAR,
    VENDOR_CONSULTATIONS,
)
from pims_pipeline.orchestration.assets.materializations import PhaseReport
from pims_pipeline.orchestration.assets.phase_runs import run_phase
from pims_pipeline.orchestration.resources import VendorAccess
from pims_pipeline.store.clinics import schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import reconcile_cases
from pims_pipeline.sync.runner import RunLedger
from pims_pipeline.sync.session import ProviderSession

VENDOR_POOL = "vendors"
"""The pool of the steps that request from vendors; ``dagster.yaml`` limits its runs."""

_APPOINTMENTS = """\
Lands the vendor's calendar, and creates, moves and restores the cases of its appointments.

**From** one listing of the clinic's calendar per window of at most 31 days; in a scheduled sync
soon after one, from what the vendor changed since (`changed_since`). Each record is compared with
the one landed before.

**A partition** is one business date of one clinic, in its time zone. It is materialized when a
complete listing that covers it, or what changed since, was landed and applied.

**When it fails**, nothing of the window was written, and later phases of the run skip the clinic's
dates. Other clinics are not affected. The failed step names clinic, window and error. Find the
error in docs/runbook.md, "Errors from the vendor". The next scheduled sync retries."""

_CONSULTATIONS = """\
Adds the consultations of past appointments to their cases, as `metadata.consultation`.

**From** one request to the vendor for each appointment whose consultation is due: never fetched,
changed since, or due for another fetch by its age.

**A partition** is one business date of one clinic, in its time zone. It is materialized when every
due consultation was requested.

**When it fails**, no consultation of the window could be fetched. Single failures do not fail it:
they become open failures and are retried. Find the error in docs/runbook.md, "Errors from the
vendor"; for open failures, see "Dead letters"."""

_RECONCILIATION = """\
Retires (soft-deletes) the cases whose appointment the vendor no longer has, or holds them for a
decision.

**From** a complete listing, and one lookup at the vendor for each appointment missing from it.

**A partition** is one business date of one clinic, in its time zone. It is materialized when its
cases were compared with the calendar, even if their retirement is held.

**When it fails**, nothing was retired. Find the error in docs/runbook.md, "Errors from the vendor".
When the check `deletion_guard` fails, too many appointments are missing at once: see
"deletion_guard" there, and `pims holds list`."""


def build_assets(
    partitions: dg.MultiPartitionsDefinition,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the assets of the phases, what follows them, and the external assets."""

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
            ledger.exclude(clinic.slug, clinic.failed_days, "its appointments failed in this run")
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

    written = build_application_cases(partitions)
    return [appointments, consultations, reconciliation, written, *EXTERNAL_ASSETS]


def _asset(
    partitions: dg.MultiPartitionsDefinition,
    phase: Phase,
    *,
    deps: Sequence[dg.AssetSpec | dg.AssetsDefinition],
    description: str,
    writes: Sequence[str],
) -> Callable[[Callable[..., PhaseReport]], dg.AssetsDefinition]:
    """Return the decorator of a phase's asset."""
    with warnings.catch_warnings():
        # Dagster warns for each asset that a single run per backfill is beta.
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
                **written_tables(*writes),
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
