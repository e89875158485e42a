"""One clinic between a simulated vendor and a real database.

The adapter, the phases, the store and the vendor's HTTP are real; no login has a browser.
Its sides are in ``clinic``, what must hold in ``oracle``; nothing here asserts anything.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline_tests.reliability.clinic.operators import OperatorSide
from pims_pipeline_tests.reliability.clinic.pipeline import PipelineSide
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.clinic.vendor import VendorSide
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_VENDOR


@dataclass
class SyncedClinic(VendorSide, OperatorSide, PipelineSide):
    """A clinic, its vendor's calendar with its history, its users' edits and its syncs."""

    @classmethod
    def begin(cls, servers: SharedServers, company: SimulatedClinic, today: date) -> "SyncedClinic":
        """A clinic at noon of ``today``, its calendar empty but for blocks and rosters."""
        servers.on_statement = None
        servers.ahead = timedelta()
        servers.clock.moment = datetime.combine(today, time(12), company.zone).astimezone(UTC)
        servers.control.reset()
        vault = servers.vault
        with transaction(servers.engine) as connection:
            clinic = add_clinic(
                connection,
                slug=f"clinic-{secrets.token_hex(8)}",
                name=company.name,
                timezone=company.timezone,
                provider_type=company.vendor,
                provider_base_url=servers.base_url,
            )
            put_credentials(connection, vault, clinic, company.credential_fields)
        days = timedelta(days=3), timedelta(days=12)
        window, wide = (DateRange(today - reach, today + reach) for reach in days)
        at = EVERY_VENDOR[company.vendor]
        begun = cls(servers, at, company, clinic, today, window, wide, step_began=servers.clock())
        begun.date_registration()
        return begun
