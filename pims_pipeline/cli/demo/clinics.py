"""The simulator's clinics, registered in our store with their logins."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType

from pims_pipeline.cli.runtime import Store
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.operations.api_keys import replace_key, revoke_key
from pims_pipeline.operations.clinics import (
    NewClinic,
    list_clinics,
    place_clinics,
    readdress_clinics,
)
from pims_pipeline.simulator.practice.clinics import DEMO_CLINICS, SimulatedClinic
from pims_pipeline.store.api_keys import UnknownApiKey

DEMO_SLUGS: Mapping[str, str] = MappingProxyType(
    {"1001": "demo-riverbend", "1002": "demo-thistle-lane", "1003": "demo-wattle-creek"}
)
"""The slugs of the simulator's clinics for demonstrations, by company id."""

_KEY_NAME = "pims up --demo"


@dataclass(frozen=True, slots=True)
class DemoClinic:
    """A clinic in our store and in the simulator."""

    clinic: Clinic
    simulated: SimulatedClinic

    @property
    def company_id(self) -> str:
        """The vendor's id of the clinic."""
        return self.simulated.company_id


@contextmanager
def borrowed_demo_clinics(store: Store, base_url: str) -> Iterator[list[DemoClinic]]:
    """The three clinics with the base URL of a simulator, for the duration of the block.

    Afterwards a clinic that was registered before gets its former base URL again: another
    process's simulator may serve it there.
    """
    known = {each.clinic.slug: each.clinic for each in list_clinics(store.engine)}
    former = {slug: known[slug].provider_base_url for slug in DEMO_SLUGS.values() if slug in known}
    clinics = register_demo_clinics(store, base_url)
    try:
        yield clinics
    finally:
        readdress_clinics(store.engine, former)


def register_demo_clinics(store: Store, base_url: str) -> list[DemoClinic]:
    """Register the three clinics with the base URL of a simulator.

    A clinic that is registered already keeps its cases. Its login is stored again, which deletes
    the session of a former simulator.
    """
    placed = [(_as_new(each, base_url), _login(each)) for each in DEMO_CLINICS]
    clinics = place_clinics(store.engine, store.vault, placed)
    return [DemoClinic(*each) for each in zip(clinics, DEMO_CLINICS, strict=True)]


def _as_new(simulated: SimulatedClinic, base_url: str) -> NewClinic:
    return NewClinic(
        slug=DEMO_SLUGS[simulated.company_id],
        name=simulated.name,
        timezone=simulated.timezone,
        provider_type=simulated.vendor,
        provider_base_url=base_url,
    )


def _login(simulated: SimulatedClinic) -> dict[str, str]:
    return dict(simulated.credential_fields)


@contextmanager
def demo_api_key(store: Store, slug: str) -> Iterator[str]:
    """The text of a key to the REST API for a demo clinic, revoked at the end of the block.

    The next call replaces a key that a killed process left.
    """
    key = replace_key(store.engine, slug, name=_KEY_NAME)
    try:
        yield key.text
    finally:
        # Another process may have replaced it.
        with suppress(UnknownApiKey):
            revoke_key(store.engine, key.prefix)
