"""What every phase is given: the store, the vault, the way to a provider, the rules.

Built once per run by a composition root (the Dagster resources), shared by all clinics
of the run and their threads. Holds no state of a clinic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.cases import DEFAULT_WORDS, Words
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.leases import LOGIN_LEASE, LeaseTerms
from pims_pipeline.store.liveness import Liveness
from pims_pipeline.store.secrets.vault import Vault

ProviderFactory = Callable[[Clinic], PimsProvider]
"""Gives a provider that is not logged in yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """See the module.

    Attributes:
        run_id: The Dagster run that everything done here is traced to.
        liveness: Proof to other processes that this run is still going.
        stop: Watched by every wait; the run's own, or a clinic's within a run.
        clock: Gives the present moment, aware UTC; tests replace it.
        login_terms: How long a login that was killed keeps others from logging in.
        login_wait_seconds: How long to wait while another process logs in.
        words: What the vendors' words mean.
    """

    engine: Engine
    vault: Vault
    open_provider: ProviderFactory
    run_id: str
    liveness: Liveness
    stop: StopSignal = field(default_factory=StopSignal)
    clock: Callable[[], datetime] = utc_now
    enrichment_policy: EnrichmentPolicy = field(default_factory=EnrichmentPolicy)
    deletion_policy: DeletionPolicy = field(default_factory=DeletionPolicy)
    login_terms: LeaseTerms = LOGIN_LEASE
    login_wait_seconds: float = 180
    words: Words = DEFAULT_WORDS
