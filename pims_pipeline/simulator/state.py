"""The whole state of one running simulator.

The server's event loop owns it: every route is async and none awaits in the middle of a change,
so no lock is needed.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from fastapi import Request

from pims_pipeline.simulator.faults import ActiveFaults
from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.clinics import (
    IDS_PER_CLINIC,
    ListingShape,
    SimulatedClinic,
    SimulatorConfig,
    Vendor,
)
from pims_pipeline.simulator.practice.page_edits import PageEdits
from pims_pipeline.simulator.vendors.idexx_neo.login_pages import LoginPage
from pims_pipeline.simulator.vendors.idexx_neo.sessions import LoginMode, Sessions
from pims_pipeline.simulator.vendors.idexx_neo.wire import DeletedLookup, Listings

ForeignLocation = Literal["refused", "empty"]
"""What Vetspire gives for a location that the key does not open: an error, or no rows."""


@dataclass(slots=True)
class Practice:
    """One clinic of the simulator: its calendar and how it behaves at present."""

    clinic: SimulatedClinic
    calendar: Calendar
    listings: Listings
    listing_shape: ListingShape
    login_mode: LoginMode = "normal"
    deleted_lookup: DeletedLookup = "flag"
    page_edits: PageEdits = field(default_factory=PageEdits)

    def reset(self) -> None:
        """Return to the state at the start of the simulator."""
        self.calendar.reset()
        self.listing_shape = self.clinic.listing_shape
        self.login_mode = "normal"
        self.deleted_lookup = "flag"
        self.page_edits = PageEdits()


@dataclass(slots=True)
class Simulator:
    """The state behind every route.

    Attributes:
        login_page: The shape of the login page, the same for all clinics.
        foreign_location: What a key gets for a location that it does not open.
        requests: Requests to each endpoint, faulty ones included.
        stopping: Set when the server shuts down, which ends delayed responses.
    """

    config: SimulatorConfig
    practices: dict[str, Practice]
    sessions: Sessions
    faults: ActiveFaults = field(default_factory=ActiveFaults)
    login_page: LoginPage = "plain"
    foreign_location: ForeignLocation = "refused"
    requests: Counter[str] = field(default_factory=Counter)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def practice_of(self, vendor: Vendor, company_id: str) -> Practice | None:
        """The clinic with that id, if it is a customer of ``vendor``."""
        practice = self.practices.get(company_id)
        return practice if practice and practice.clinic.vendor == vendor else None

    def practices_of(self, vendor: Vendor) -> list[Practice]:
        """The clinics that are customers of ``vendor``."""
        return [each for each in self.practices.values() if each.clinic.vendor == vendor]

    def reset(self) -> None:
        """Forget edits, faults, sessions, settings and counts."""
        for practice in self.practices.values():
            practice.reset()
        self.sessions.reset()
        self.faults.clear()
        self.login_page = "plain"
        self.foreign_location = "refused"
        self.requests.clear()


def build_simulator(config: SimulatorConfig) -> Simulator:
    """A fresh simulator.

    Raises:
        ValueError: If two clinics share a company id, or a clinic of Vetspire has no key, or
            shares both its key and its records' ids with another.
    """
    _check_keys(config)
    practices: dict[str, Practice] = {}
    for clinic in config.clinics:
        if clinic.company_id in practices:
            raise ValueError(f"two simulated clinics have the company id {clinic.company_id}")
        calendar = Calendar(config, clinic)
        practices[clinic.company_id] = Practice(
            clinic, calendar, Listings(calendar), clinic.listing_shape
        )
    return Simulator(config=config, practices=practices, sessions=Sessions(config))


def _check_keys(config: SimulatorConfig) -> None:
    ids: dict[str, set[int]] = {}
    for clinic in config.clinics:
        if clinic.vendor != "vetspire":
            continue
        if not clinic.api_key:
            raise ValueError(f"the simulated clinic {clinic.company_id} has no API key")
        taken = ids.setdefault(clinic.api_key, set())
        if any(abs(clinic.ids_from - other) < IDS_PER_CLINIC for other in taken):
            raise ValueError(
                f"the simulated clinic {clinic.company_id} shares its key and ids with another: "
                f"set its ids_from {IDS_PER_CLINIC} apart"
            )
        taken.add(clinic.ids_from)


async def simulator_of(request: Request) -> Simulator:
    """The simulator behind the application that ``request`` came to."""
    simulator = request.app.state.simulator
    if not isinstance(simulator, Simulator):
        raise TypeError("the application was not built by build_app")
    return simulator
