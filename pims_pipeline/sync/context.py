"""What every phase is given: the store, the vault, the way to a provider, the rules.

Built once per run by a composition root (the Dagster resources), shared by all clinics
of the run and their threads. Holds no state of a clinic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.enrichment import EnrichmentPolicy
from pims_pipeline.domain.reconciliation import DeletionPolicy
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.store.audits import Liveness
from pims_pipeline.store.vault import Vault

ProviderFactory = Callable[[Clinic], PimsProvider]
"""Gives a provider that is not logged in yet."""


def utc_now() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """See the module.

    Attributes:
        run_id: The Dagster run that everything done here is traced to.
        liveness: Proof to other processes that this run is still going.
        clock: Gives the present moment, aware UTC; tests replace it.
    """

    engine: Engine
    vault: Vault
    open_provider: ProviderFactory
    run_id: str
    liveness: Liveness
    clock: Callable[[], datetime] = utc_now
    enrichment_policy: EnrichmentPolicy = field(default_factory=EnrichmentPolicy)
    deletion_policy: DeletionPolicy = field(default_factory=DeletionPolicy)
