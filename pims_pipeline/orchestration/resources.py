"""What assets, checks and sensors are given: the store, the way to vendors, the ledger.

The composition root says where these come from (``Sources``), as functions that are
called when a run starts. None of it is Dagster configuration: the Dagster UI displays
that, and here it would hold secrets.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.alerting.delivery import Alerting
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.assets.materializations import ReportIOManager
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.cancelling import cancellable
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.clocks import steady_clock
from pims_pipeline.sync.context import ProviderFactory, SyncContext
from pims_pipeline.sync.runner import RunLedger


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a run gets what it works with; nothing is opened until a run asks.

    Attributes:
        open_store: Gives the engine for as long as the block runs.
        open_vault: Gives the vault that decrypts credentials.
        open_provider: Gives a provider for a clinic that is not logged in yet.
        clinics_at_once: How many clinics are worked on side by side.
        clinics_per_run: How many clinics a scheduled run may have.
        clinic_timeout: Seconds that a phase may take at one clinic, for each window.
        run_timeout: Seconds that a run may take.
        retention_days: How long is kept what nobody asks for any more.
        alerting: How people are told of alerts.
    """

    open_store: Callable[[], AbstractContextManager[Engine]]
    open_vault: Callable[[], Vault]
    open_provider: ProviderFactory
    clinics_at_once: int = 8
    clinics_per_run: int = 50
    clinic_timeout: float = 900.0
    run_timeout: float = 7200.0
    retention_days: int = 400
    enrichment_policy: EnrichmentPolicy = field(default_factory=EnrichmentPolicy)
    deletion_policy: DeletionPolicy = field(default_factory=DeletionPolicy)
    alerting: Alerting = field(default_factory=Alerting)


@dataclass(frozen=True, slots=True)
class Rules:
    """What checks and the maintenance go by, without a way to any vendor."""

    enrichment: EnrichmentPolicy
    deletion: DeletionPolicy
    retention_days: int = 400


@dataclass(frozen=True, slots=True)
class VendorAccess:
    """The way to the clinics' practice management systems, for one run.

    Attributes:
        context: What the phases are given; opens providers and logs them in when needed.
        clinic_timeout: Seconds that a phase may take at one clinic, for each window.
    """

    context: SyncContext
    clinics_at_once: int
    clinic_timeout: float

    def clinic_signal(self, slug: str, phase: Phase) -> StopSignal:
        """The signal that a phase at one clinic watches: the run's, with the clinic's limit."""
        return self.context.stop.child(
            seconds=self.clinic_timeout,
            explanation=(
                f"the phase {phase} of {slug} was stopped after {self.clinic_timeout:g} s, all "
                "that a window may take (PIMS_CLINIC_TIMEOUT_SECONDS); the next sync goes on. If "
                "it happens again, see whether the vendor is slow"
            ),
        )


def build_resources(sources: Sources) -> dict[str, dg.ResourceDefinition]:
    """The resources of runs and sensors, by the names that those ask for.

    The in-process executor makes each once per run and lets go of it at the run's end,
    also when the run is interrupted.
    """

    @contextmanager
    def store(_: dg.InitResourceContext) -> Iterator[Engine]:
        with sources.open_store() as engine:
            yield engine

    @contextmanager
    def provider(init: dg.InitResourceContext) -> Iterator[VendorAccess]:
        engine = init.resources.store
        if init.run is None:
            raise dg.DagsterInvariantViolationError("vendors are asked by runs alone")
        # Once per run: nothing is written by a clock that is wrong.
        check_clock(engine)
        with run_liveness(engine) as liveness, cancellable(engine) as cancel:
            stop = _run_time_limit(sources.run_timeout, cancel)
            context = _sync_context(sources, engine, init.run, liveness, stop)
            yield VendorAccess(context, sources.clinics_at_once, sources.clinic_timeout)

    rules = Rules(sources.enrichment_policy, sources.deletion_policy, sources.retention_days)
    return {
        "store": dg.ResourceDefinition(store, description="The database of cases."),
        "provider": dg.ResourceDefinition(
            provider,
            required_resource_keys={"store"},
            description="Opens a logged-in provider for a clinic; secrets stay in the vault.",
        ),
        "rules": dg.ResourceDefinition(
            lambda _: rules, description="When to ask again, how much may vanish, what is kept."
        ),
        "alerts": dg.ResourceDefinition(
            lambda _: sources.alerting, description="How people are told of alerts."
        ),
        "ledger": dg.ResourceDefinition(
            lambda _: RunLedger(), description="What later phases of the run must leave alone."
        ),
        "reports": dg.IOManagerDefinition.hardcoded_io_manager(
            ReportIOManager(), description="Fails the step whose report tells of failures."
        ),
    }


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
            f"the run was stopped after {seconds:g} s, the time that a run may take "
            "(PIMS_RUN_TIMEOUT_SECONDS); sync fewer clinics or dates at once"
        ),
        on_stop=cancel,
    )
