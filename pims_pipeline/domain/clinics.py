"""Clinics, their business dates, windows of dates, and local time to UTC.

Add here what depends on a clinic's time zone. Nothing here reads the server's clock or zone:
times and zones are arguments.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.resources import ALL_RESOURCES, ResourceFilter

SLUG_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
PROVIDER_TYPE_PATTERN = re.compile(r"[a-z][a-z0-9_]{1,39}")
"""The shape of a provider type; which types there are is known to the registry only."""
MAX_REQUEST_DAYS = 366
"""The longest range of business dates in one request."""
MAX_FETCH_DAYS = 31
"""The longest window of one listing request to a vendor."""
DAYS_AHEAD = 90
"""How many days ahead of a clinic's today its calendar can be synced."""


@dataclass(frozen=True, slots=True)
class Clinic:
    """A tenant: one veterinary clinic with one account at a vendor.

    Attributes:
        slug: The name that operators and partition keys use.
        timezone: IANA name of the time zone of the clinic's calendar.
        provider_type: The adapter to its PIMS, such as ``idexx_neo``.
        provider_base_url: The address of its PIMS, without a trailing slash.
        resources: Which rooms, columns and providers of its calendar are synced.
    """

    id: UUID
    slug: str
    name: str
    timezone: str
    provider_type: str
    provider_base_url: str
    is_active: bool
    resources: ResourceFilter = ALL_RESOURCES

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone.

        Raises:
            UnknownZone: If this host does not know it.
        """
        return zone_named(self.timezone)


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """Business dates from ``start`` to ``end``, both included.

    Raises:
        ValueError: If ``end`` lies before ``start``, or the range is longer than
            ``MAX_REQUEST_DAYS``.
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"the range ends on {self.end}, before it starts on {self.start}")
        if len(self) > MAX_REQUEST_DAYS:
            raise ValueError(
                f"the range {self} has {len(self)} days; at most {MAX_REQUEST_DAYS} are allowed"
            )

    def __len__(self) -> int:
        return (self.end - self.start).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day <= self.end

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=offset) for offset in range(len(self)))

    def __str__(self) -> str:
        return f"{self.start.isoformat()}..{self.end.isoformat()}"

    def covers(self, other: "DateRange") -> bool:
        """Whether every date of ``other`` lies in this range."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: "DateRange") -> bool:
        """Whether this range and ``other`` share a date."""
        return self.start <= other.end and other.start <= self.end

    def split(self, max_days: int = MAX_FETCH_DAYS) -> Iterator["DateRange"]:
        """This range in consecutive pieces of at most ``max_days`` days."""
        start = self.start
        while start <= self.end:
            end = min(start + timedelta(days=max_days - 1), self.end)
            yield DateRange(start, end)
            start = end + timedelta(days=1)


def windows_of(days: Iterable[date], max_days: int = MAX_FETCH_DAYS) -> list[DateRange]:
    """The fewest windows of at most ``max_days`` that hold exactly ``days``.

    A gap in the dates starts a new window, so that a vendor is never asked for dates that were
    not selected.
    """
    windows: list[DateRange] = []
    run: list[date] = []
    for day in sorted(set(days)):
        if run and (day - run[-1] > timedelta(days=1) or len(run) == max_days):
            windows.append(DateRange(run[0], run[-1]))
            run = []
        run.append(day)
    if run:
        windows.append(DateRange(run[0], run[-1]))
    return windows


def local_to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """The time at which a wall clock in ``zone`` shows ``local``, in UTC.

    A local time that a clock change skips moves forward by the length of the gap; one that a
    clock change repeats means its first occurrence.

    Args:
        local: A naive wall-clock time.
        zone: The zone of the wall clock.

    Raises:
        ValueError: If ``local`` carries a zone of its own.
    """
    if local.tzinfo is not None:
        raise ValueError("a wall-clock time must not carry a zone")
    # fold=0 takes the offset before the change: the first occurrence of a repeated time, and
    # the gap's length past the gap for a skipped one.
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def business_date(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar date that clocks in ``zone`` show at ``moment`` (aware)."""
    return moment.astimezone(zone).date()


def last_syncable_date(today: date) -> date:
    """The last business date that can be synced; ``today`` is UTC's."""
    # For clinics far enough east of Greenwich it is already tomorrow.
    return today + timedelta(days=DAYS_AHEAD + 1)


def day_bounds(window: DateRange, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the window begins and ends in ``zone``, in UTC; the end is exclusive."""
    first = datetime.combine(window.start, time.min)
    after = datetime.combine(window.end + timedelta(days=1), time.min)
    return local_to_utc(first, zone), local_to_utc(after, zone)


_NOT_A_ZONE = re.compile(r"localtime|posixrules|Factory|(?:posix|right)/.*", re.DOTALL)
"""Files of the zone database that are no zone: the server's own, and those with leap seconds."""


class UnknownZone(UserFacingError, ValueError):
    """There is no such time zone, or this host does not know it."""


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone called ``name``.

    Raises:
        UnknownZone: If there is no such zone.
    """
    problem = f"unknown time zone {name!r}; use an IANA name such as America/New_York"
    if _NOT_A_ZONE.fullmatch(name):
        raise UnknownZone(problem)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZone(problem) from error


def checked_slug(slug: str) -> str:
    """``slug``, if it is a valid name of a clinic.

    Raises:
        ValueError: If it is not; a slug becomes part of partition keys and addresses.
    """
    if not SLUG_PATTERN.fullmatch(slug):
        raise ValueError(
            f"{slug!r} is not a clinic slug; use 2 to 40 lower-case letters, digits and hyphens, "
            "starting with a letter or digit"
        )
    return slug
