"""The context of a run: the store, the vault, the providers, the rules.

A composition root builds one per run; all clinics of the run and their threads share it. It holds
no state of a clinic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.providers.port import PimsProvider
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.leases import LOGIN_LEASE, LeaseTerms
from pims_pipeline.store.liveness import Liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.words import VendorWords

ProviderFactory = Callable[[Clinic], PimsProvider]
"""Returns a provider that is not logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """See the module.

    Attributes:
        run_id: The Dagster run that all changes are traced to.
        liveness: Proof to other processes that this run is alive.
        stop: The stop signal of the run, or of a clinic in it; every wait watches it.
        clock: Returns the present time, aware UTC; tests replace it.
        login_terms: How long a killed login blocks other logins.
        login_wait_seconds: How long to wait while another process logs in.
        whole_listing_age: How old the newest whole listing of a window may be, so that inbound
            fetches only what changed since; None to list the calendar in any case.
        vendor_words: What the vendors' statuses and types mean, unless a clinic has its own words.
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
    whole_listing_age: timedelta | None = None
    vendor_words: VendorWords = vendor_words
