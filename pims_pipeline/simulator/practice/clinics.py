"""The clinics the simulator plays, and how one simulator is set up.

Plain configuration only. ``generation`` makes what a clinic's calendar holds; ``calendar`` keeps
what happens to it afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

Vendor = Literal["idexx_neo", "vetspire"]
"""The vendors that the simulator plays."""
VENDOR_NAMES: Mapping[Vendor, str] = MappingProxyType(
    {"idexx_neo": "IDEXX Neo", "vetspire": "Vetspire"}
)
"""What the vendors are called."""
VETSPIRE_SIGN_IN = "/vetspire/login"
"""Where a person signs in to the calendar page of a clinic of Vetspire."""
ShownTimes = Literal["offset", "utc"]
"""How Vetspire shows a time: with the clinic's offset, or in UTC without saying so."""
IDS_PER_CLINIC = 250_000_000
"""How far apart the ids of clinics with one API key must begin."""
ListingShape = Literal["array", "appointments", "data", "events"]
"""Where the listing's records are: at the top, or under one of these keys."""


@dataclass(frozen=True, slots=True)
class SimulatedClinic:
    """One clinic of a pretend vendor.

    Attributes:
        company_id: At IDEXX Neo, typed beside the user name; at Vetspire, the location's id.
        timezone: IANA name of the zone of the calendar's naive local times.
        username: A made-up user.
        password: A made-up password.
        listing_shape: The shape of its listing until the control interface changes it.
        imperial: Whether its measurements are mostly in pounds and Fahrenheit.
        phone_format: A number range reserved for fiction, with ``{:04d}`` or shorter in it.
        vendor: The vendor that it is a customer of; no other vendor's routes know it.
        api_key: Vetspire's key, a made-up one. It opens every clinic of its organisation.
        ids_from: Added to the ids of all records. Clinics with one key need ids of their own.
        shown_times: How Vetspire shows its times.
    """

    company_id: str
    name: str
    timezone: str
    username: str
    password: str = field(repr=False)
    listing_shape: ListingShape = "array"
    imperial: bool = False
    phone_format: str = "(555) 555-01{:02d}"
    vendor: Vendor = "idexx_neo"
    api_key: str = field(default="", repr=False)
    ids_from: int = 0
    shown_times: ShownTimes = "offset"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the clinic's clocks."""
        return ZoneInfo(self.timezone)

    @property
    def credential_fields(self) -> dict[str, str]:
        """What its vendor asks of a client, by the names of the adapter's credential fields."""
        if self.vendor == "vetspire":
            return {"api_key": self.api_key, "location_id": self.company_id}
        return {
            "company_id": self.company_id,
            "username": self.username,
            "password": self.password,
        }


DEFAULT_CLINICS: tuple[SimulatedClinic, ...] = (
    SimulatedClinic(
        company_id="1001",
        name="Riverbend Animal Hospital",
        timezone="America/New_York",
        username="demo",
        password="demo-1001",  # noqa: S106 - a made-up clinic's made-up password
        imperial=True,
    ),
    SimulatedClinic(
        company_id="1002",
        name="Thistle Lane Vets",
        timezone="Europe/London",
        username="demo",
        password="demo-1002",  # noqa: S106 - as above
        listing_shape="data",
        phone_format="020 7946 00{:02d}",
    ),
    SimulatedClinic(
        company_id="1003",
        name="Banksia Bay Veterinary Clinic",
        timezone="Australia/Sydney",
        username="demo",
        password="demo-1003",  # noqa: S106 - as above
        listing_shape="events",
        phone_format="(02) 5550 00{:02d}",
    ),
)


def on_vetspire(clinic: SimulatedClinic, api_key: str) -> SimulatedClinic:
    """The same clinic, with the same calendar, as a customer of Vetspire."""
    return replace(clinic, vendor="vetspire", api_key=api_key)


VETSPIRE_CLINICS: tuple[SimulatedClinic, ...] = (
    SimulatedClinic(
        company_id="2001",
        name="Juniper Hill Animal Hospital",
        timezone="America/Chicago",
        username="demo",
        password="demo-2001",  # noqa: S106 - as above
        imperial=True,
        vendor="vetspire",
        api_key="vetspire-demo-juniper",
    ),
    SimulatedClinic(
        company_id="2002",
        name="Juniper Hill Cat Clinic",
        timezone="America/Los_Angeles",
        username="demo",
        password="demo-2002",  # noqa: S106 - as above
        imperial=True,
        vendor="vetspire",
        api_key="vetspire-demo-juniper",
        ids_from=IDS_PER_CLINIC,
    ),
    SimulatedClinic(
        company_id="2003",
        name="Kowhai Street Vets",
        timezone="Pacific/Auckland",
        username="demo",
        password="demo-2003",  # noqa: S106 - as above
        phone_format="(09) 555 00{:02d}",
        vendor="vetspire",
        api_key="vetspire-demo-kowhai",
        shown_times="utc",
    ),
)
"""Clinics of Vetspire: the first two are locations of one organisation and share its key."""

_WATTLE_CREEK = replace(DEFAULT_CLINICS[2], name="Wattle Creek Veterinary Clinic")
DEMO_CLINICS: tuple[SimulatedClinic, ...] = (
    *DEFAULT_CLINICS[:2],
    on_vetspire(_WATTLE_CREEK, "vetspire-demo-wattle"),
)
"""The clinics of ``pims demo`` and ``pims up --demo``, of both vendors."""
DEMO_VENDORS = " and ".join(dict.fromkeys(VENDOR_NAMES[each.vendor] for each in DEMO_CLINICS))


MAX_APPOINTMENTS_PER_DAY = 1000
"""How many appointments a generated day has ids for."""


def system_clock() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class SimulatorConfig:
    """How one simulator behaves.

    Attributes:
        seed: Decides everything that is made up; the same seed gives the same data.
        idle_timeout_s: Seconds after which an unused session ends.
        absolute_timeout_s: Seconds after which any session ends.
        appointments_per_day: Exactly so many appointments every day; ``None`` makes about
            twelve on weekdays and fewer at weekends. Blocks and rosters come on top.
        clock: Gives the present time, aware. Used for sessions and the time of edits only.
        today: The date that divides past from future, in every clinic. ``None`` takes each
            clinic's own date when the simulator is built. It is fixed while the simulator runs,
            so that no appointment's status changes by itself.

    Raises:
        ValueError: If ``appointments_per_day`` exceeds the ids of a day.
    """

    seed: int = 7
    clinics: tuple[SimulatedClinic, ...] = DEFAULT_CLINICS
    idle_timeout_s: float = 1200
    absolute_timeout_s: float = 28800
    appointments_per_day: int | None = None
    clock: Callable[[], datetime] = system_clock
    today: date | None = None

    def __post_init__(self) -> None:
        wanted = self.appointments_per_day
        if wanted is not None and not 0 <= wanted <= MAX_APPOINTMENTS_PER_DAY:
            raise ValueError(
                f"{wanted} appointments a day cannot be made: 0 to {MAX_APPOINTMENTS_PER_DAY} can"
            )

    def today_of(self, clinic: SimulatedClinic) -> date:
        """The date that is today in ``clinic``, read from the clock when none is set."""
        return self.today or self.clock().astimezone(clinic.zone).date()
