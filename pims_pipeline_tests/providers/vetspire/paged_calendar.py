"""A calendar that is served in pages, while people edit it and records make pages fail."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.vetspire.client import ServerFault
from pims_pipeline.providers.vetspire.listing import FetchedCalendar, Page, fetch_calendar

ZONE = ZoneInfo("America/Chicago")
DAY = date(2026, 3, 4)
MIDNIGHT = datetime(2026, 3, 4, 6, tzinfo=UTC)
"""When that day begins in the zone."""


@dataclass
class PagedCalendar:
    """Starts by identity, in the order of the vendor's pages.

    Attributes:
        damaged: Identities that make each page with them fail.
        bookings: What is booked before the request with that number, counted from 0.
        deletions: What is deleted before it.
        foreign: Identities of another location, one more on each page that has any row.
        cap: The most rows of a page, whatever its limit.
        sends_identities: Whether a damaged record's identity can be had alone.
    """

    starts: dict[str, datetime] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    bookings: dict[int, dict[str, datetime]] = field(default_factory=dict)
    deletions: dict[int, set[str]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    cap: int = 200
    sends_identities: bool = False
    pages: list[Page] = field(default_factory=list)

    def __call__(self, page: Page) -> list[object]:
        number = len(self.pages)
        self.starts |= self.bookings.get(number, {})
        for identity in self.deletions.get(number, ()):
            self.starts.pop(identity, None)
        self.pages.append(page)
        inside = [
            (start, identity)
            for identity, start in self.starts.items()
            if page.span.start <= start < page.span.end
        ]
        found = sorted(inside)[page.offset :][: min(page.limit, self.cap)]
        sent = [identity for _, identity in found]
        is_harmless = page.identities_alone and self.sends_identities
        if self.damaged.intersection(sent) and not is_harmless:
            raise ServerFault("it responded with status 500")
        rows: list[object] = [
            {"id": identity, "start": self.starts[identity].isoformat()} for identity in sent
        ]
        return [*rows, *({"id": identity} for identity in self.foreign if rows)]


def booked(minutes: Iterable[int]) -> dict[str, datetime]:
    """Appointments that many minutes after midnight, with the identities 0, 1, …"""
    return {
        str(number): MIDNIGHT + timedelta(minutes=after) for number, after in enumerate(minutes)
    }


def fetched(calendar: PagedCalendar, *, days: int = 1, page_rows: int = 200) -> FetchedCalendar:
    window = DateRange(DAY, DAY + timedelta(days=days - 1))
    return fetch_calendar(calendar, window, ZONE, page_rows=page_rows)


def identities(found: FetchedCalendar) -> list[str]:
    """The identities of the rows, without repetitions."""
    return sorted({str(row["id"]) for row in found.rows if isinstance(row, dict)}, key=int)
