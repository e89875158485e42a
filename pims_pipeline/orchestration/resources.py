"""The resources of assets, checks and sensors: the store, the providers, the ledger, and more.

The composition root passes functions that open them (``Sources``), called when a run starts. None
is Dagster configuration, because the Dagster UI displays that, secrets included.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.alerting.delivery import Alerting
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.webhooks.receivers import Network
from pims_pipeline.orchestration.assets.materializations import ReportIOManager
from pims_pipeline.orchestration.code_server.termination import ends_when_terminated
from pims_pipeline.providers.kept_open import close_idle
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.cancelling import cancellable
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.kept_store import KeptStore
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.clocks import steady_clock
from pims_pipeline.sync.context import ProviderFactory, SyncContext
from pims_pipeline.sync.runner import RunLedger
from pims_pipeline.webhooks.delivery import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Opens what a run works with, and sets its limits. Nothing is opened before a run.

    Attributes:
        open_store: Opens the database for as long as the block runs.
        open_vault: Opens the vault that decrypts credentials.
        open_provider: Returns a clinic's provider, not logged in yet.
        clinics_at_once: How many clinics are synced in parallel.
        clinics_per_run: How many clinics a scheduled run may have.
        clinic_timeout: Seconds that a phase may take at one clinic, for each window.
        run_timeout: Seconds that a run may take.
        retention_days: After how many days the maintenance deletes old records.
        whole_listing_age: For how long scheduled syncs of the calendar fetch changes alone; zero
            for never.
        alerting: How alerts are delivered.
        webhook_networks: Networks that webhooks may call although they are not public.
        console: Links to the console's pages.
    """

    open_store: Callable[[], AbstractContextManager[Engine]]
    open_vault: Callable[[], Vault]
    open_provider: ProviderFactory
    clinics_at_once: int = 8
    clinics_per_run: int = 50
    clinic_timeout: float = 900.0
    run_timeout: float = 7200.0
    retention_days: int = 400
    whole_listing_age: timedelta = timedelta(0)
    enrichment_policy: EnrichmentPolicy = field(default_factory=EnrichmentPolicy)
    deletion_policy: DeletionPolicy = field(default_factory=DeletionPolicy)
    alerting: Alerting = field(default_factory=Alerting)
    webhook_networks: Sequence[Network] = ()
    console: ConsoleLinks = field(default_factory=ConsoleLinks)


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies of checks and maintenance, which request nothing from vendors.

    Attributes:
        console: Where checks link to.
    """

    enrichment: EnrichmentPolicy
    deletion: DeletionPolicy
    retention_days: int = 400
    console: ConsoleLinks = field(default_factory=ConsoleLinks)


@dataclass(frozen=True, slots=True)
class VendorAccess:
    """Access to the clinics' practice management systems, for one run.

    Attributes:
        context: The context of the phases; opens providers and logs in when needed.
        clinics_at_once: How many clinics are synced in parallel.
        clinic_timeout: Seconds that a phase may take at one clinic, for each window.
        whole_listing_age: See ``Sources``.
        console: Where materializations link to.
    """

    context: SyncContext
    clinics_at_once: int
    clinic_timeout: float
    whole_listing_age: timedelta = timedelta(0)
    console: ConsoleLinks = field(default_factory=ConsoleLinks)

    def clinic_signal(self, slug: str, phase: Phase) -> StopSignal:
        """Return the run's stop signal with the time limit of a phase at one clinic."""
        return self.context.stop.child(
            seconds=self.clinic_timeout,
            explanation=(
                f"the phase {phase} of {slug} was stopped after {self.clinic_timeout:g} s, the "
                "time limit of a window (PIMS_CLINIC_TIMEOUT_SECONDS); the next sync continues. If "
                "this happens again, check whether the vendor is slow"
            ),
        )


def build_resources(sources: Sources) -> dict[str, dg.ResourceDefinition]:
    """Return the resources by name.

    The in-process executor opens each once per run, and closes it when the run ends or is
    interrupted. Sensors share a store that stays open.
    """
    kept = KeptStore(sources.open_store)

    @contextmanager
    def store(init: dg.InitResourceContext) -> Iterator[Engine]:
        if init.run is None:
            # A sensor, which is evaluated again soon.
            yield kept.engine()
            return
        with sources.open_store() as engine:
            yield engine

    @contextmanager
    def provider(init: dg.InitResourceContext) -> Iterator[VendorAccess]:
        engine = init.resources.store
        if init.run is None or init.instance is None:
            raise dg.DagsterInvariantViolationError("only runs may use the resource `provider`")
        # Once per run: a run must write nothing while its clock is wrong.
        check_clock(engine)
        with (
            run_liveness(engine) as liveness,
            cancellable(engine) as cancel,
            ends_when_terminated(init.instance, init.run.run_id),
        ):
            stop = _run_time_limit(sources.run_timeout, cancel)
            context = _sync_context(sources, engine, init.run, liveness, stop)
            try:
                yield _vendor_access(sources, context)
            finally:
                close_idle()

    rules = _rules(sources)
    delivery = Webhooks(open_vault=sources.open_vault, allowed=sources.webhook_networks)
    return {
        "store": dg.ResourceDefinition(store, description="The database of cases."),
        "provider": dg.ResourceDefinition(
            provider,
            required_resource_keys={"store"},
            description="Opens a logged-in provider for a clinic; secrets stay in the vault.",
        ),
        "rules": dg.ResourceDefinition(
            lambda _: rules,
            description="When consultations are fetched again, how many cases may be retired at "
            "once, and how long records are kept.",
        ),
        "webhook_delivery": dg.ResourceDefinition(lambda _: delivery, description="To webhooks."),
        "alerts": dg.ResourceDefinition(lambda _: sources.alerting, description="Delivers alerts."),
        "ledger": dg.ResourceDefinition(
            lambda _: RunLedger(), description="The partitions that later phases must skip."
        ),
        "reports": dg.IOManagerDefinition.hardcoded_io_manager(
            ReportIOManager(), description="Fails a phase's step when a clinic failed."
        ),
    }


def _rules(sources: Sources) -> Rules:
    return Rules(
        sources.enrichment_policy,
        sources.deletion_policy,
        sources.retention_days,
        sources.console,
    )


def _vendor_access(sources: Sources, context: SyncContext) -> VendorAccess:
    return VendorAccess(
        context,
        sources.clinics_at_once,
        sources.clinic_timeout,
        sources.whole_listing_age,
        sources.console,
    )


def _sync_context(
    sources: Sources, engine: Engine, run: dg.DagsterRun, liveness: Liveness, stop: StopSignal
) -> SyncContext:
    return SyncContext(
        engine=engine,
        vault=sources.open_vault(),
        open_provider=sources.open_provider,
        run_id=run.run_id,
        liveness=liveness,
        clock=steady_clock(),
        stop=stop,
        enrichment_policy=sources.enrichment_policy,
        deletion_policy=sources.deletion_policy,
    )


def _run_time_limit(seconds: float, cancel: Callable[[], None]) -> StopSignal:
    return StopSignal(
        seconds=seconds,
        explanation=(
            f"the run was stopped after {seconds:g} s, the time limit of a run "
            "(PIMS_RUN_TIMEOUT_SECONDS); sync fewer clinics or dates at once"
        ),
        on_stop=cancel,
    )
