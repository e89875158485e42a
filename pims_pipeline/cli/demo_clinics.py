"""The pretend vendor's clinics as clinics of ours: their slugs, registered with their logins."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection

from pims_pipeline.cli.runtime import Store
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.providers.port import Credentials
from pims_pipeline.simulator.server import DEFAULT_CLINICS, SimulatedClinic
from pims_pipeline.store.api_keys import UnknownApiKey, replace_api_key, revoke_api_key
from pims_pipeline.store.clinics import (
    ClinicExists,
    add_clinic,
    all_clinics,
    clinic_by_slug,
    readdress_clinic,
)
from pims_pipeline.store.credentials import put_credentials
from pims_pipeline.store.database import transaction

DEMO_SLUGS: Mapping[str, str] = MappingProxyType(
    {"1001": "demo-riverbend", "1002": "demo-thistle-lane", "1003": "demo-banksia-bay"}
)
"""The slugs of the pretend vendor's default clinics, by company id."""

_KEY_NAME = "pims up --demo"


@dataclass(frozen=True, slots=True)
class DemoClinic:
    """A clinic of ours, and the pretend vendor's side of it."""

    clinic: Clinic
    simulated: SimulatedClinic

    @property
    def company_id(self) -> str:
        """What the vendor calls it."""
        return self.simulated.company_id


@contextmanager
def borrowed_demo_clinics(store: Store, base_url: str) -> Iterator[list[DemoClinic]]:
    """The three clinics, at a simulator that answers at ``base_url`` while the block runs.

    Afterwards they are where they were before, if they were anywhere: another process's
    simulator may be waiting for them there.
    """
    with transaction(store.engine) as connection:
        known = {clinic.slug: clinic for clinic in all_clinics(connection)}
    former = [known[slug] for slug in DEMO_SLUGS.values() if slug in known]
    clinics = register_demo_clinics(store, base_url)
    try:
        yield clinics
    finally:
        with transaction(store.engine) as connection:
            for clinic in former:
                readdress_clinic(connection, clinic.slug, clinic.provider_base_url)


def register_demo_clinics(store: Store, base_url: str) -> list[DemoClinic]:
    """Make sure of the three clinics, at a simulator that answers at ``base_url``.

    Clinics of an earlier time are taken up again, with their cases. Their logins are stored
    anew, so that no session outlives the simulator that gave it.
    """
    with transaction(store.engine) as connection:
        return [_registered(connection, store, each, base_url) for each in DEFAULT_CLINICS]


def _registered(
    connection: Connection, store: Store, simulated: SimulatedClinic, base_url: str
) -> DemoClinic:
    slug = DEMO_SLUGS[simulated.company_id]
    try:
        clinic = add_clinic(
            connection,
            slug=slug,
            name=simulated.name,
            timezone=simulated.timezone,
            provider_type="idexx_neo",
            provider_base_url=base_url,
        )
    except ClinicExists:
        clinic = readdress_clinic(connection, slug, base_url)
    login = Credentials(simulated.username, simulated.password, simulated.company_id)
    put_credentials(connection, store.vault, clinic, login.to_mapping())
    return DemoClinic(clinic, simulated)


@contextmanager
def demo_api_key(store: Store, slug: str) -> Iterator[str]:
    """The text of a key to the REST API for a demo clinic, revoked at the end.

    One that a killed process left is replaced by the next.
    """
    with transaction(store.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        key = replace_api_key(connection, clinic, name=_KEY_NAME)
    try:
        yield key.text
    finally:
        # Another process may have replaced it meanwhile.
        with suppress(UnknownApiKey), transaction(store.engine) as connection:
            revoke_api_key(connection, key.prefix)
