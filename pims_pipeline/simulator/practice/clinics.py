"""The clinics the simulator plays, and how one simulator is set up.

Plain configuration only. ``generation`` makes what a clinic's calendar holds; ``calendar`` keeps
what happens to it afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

ListingShape = Literal["array", "appointments", "data", "events"]
"""Where the listing's records are: at the top, or under one of these keys."""


@dataclass(frozen=True, slots=True)
class SimulatedClinic:
    """One company of the pretend vendor.

    Attributes:
        company_id: Typed beside the user name; it decides the clinic.
        timezone: IANA name of the zone of the calendar's naive local times.
        username: A made-up user.
        password: A made-up password.
        listing_shape: The shape of its listing until the control interface changes it.
        imperial: Whether its measurements are mostly in pounds and Fahrenheit.
        phone_format: A number range reserved for fiction, with ``{:04d}`` or shorter in it.
    """

    company_id: str
    name: str
    timezone: str
    username: str
    password: str = field(repr=False)
    listing_shape: ListingShape = "array"
    imperial: bool = False
    phone_format: str = "(555) 555-01{:02d}"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the clinic's clocks."""
        return ZoneInfo(self.timezone)


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
