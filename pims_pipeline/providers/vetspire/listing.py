"""Fetching a location's calendar: day by day, page by page, around records the vendor fails over.

A listing is whole when each day is: its only page was not full, or two passes over its pages found
the same identities. Offsets shift while people book, so one pass over several pages proves nothing.
A page may also end because the vendor sends fewer rows at once than were requested. So behind the
longest of the pages that were not full, one more is requested, which must be empty.

A record can make each page that holds it fail. The window is then narrowed until that record is
alone; it is quarantined, and its neighbours are listed. What rows mean belongs in
``parsing/listing.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date, day_bounds
from pims_pipeline.domain.records.appointments import QuarantinedRecord
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.providers.vetspire.client import ServerFault
from pims_pipeline.providers.vetspire.parsing.listing import readable_identity, row_identity

PAGE_ROWS = 200
"""The most rows that the vendor sends at once."""
MOST_PASSES = 4
"""How often the pages of a day are read until two passes agree."""
MOST_PAGES = 25
"""Of one pass; a day of any clinic has fewer."""
NARROWEST = timedelta(minutes=15)
"""A window in which records are fetched one by one."""
MOST_FAULTS = 60
"""Failed requests of a listing, after which the vendor itself is at fault, not a record."""

SMALLEST_CAP = 10
"""Rows; no server sends fewer at once, however many were requested."""

_FAR_OFFSET = 100_000
"""An offset behind the last row, so that the page is empty."""
_TRIES_WHEN_NARROWING = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the calendar: starts from ``start`` on and before ``end``, both aware."""

    start: datetime
    end: datetime

    def halves(self) -> "tuple[Span, Span]":
        """The first and the second half."""
        middle = self.start + (self.end - self.start) / 2
        return Span(self.start, middle), Span(middle, self.end)


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a span are requested.

    Attributes:
        tries: How often the request is tried; None for the usual number.
        identities_alone: Only the rows' identities and starts are wanted.
    """

    span: Span
    offset: int = 0
    limit: int = PAGE_ROWS
    tries: int | None = None
    identities_alone: bool = False


class FetchPage(Protocol):
    """Sends the request for a page."""

    def __call__(self, page: Page) -> list[object]:
        """The page's rows.

        Raises:
            ServerFault: If the vendor fails over it.
            PimsError: See the port.
        """
        ...


@dataclass(slots=True)
class FetchedCalendar:
    """What was fetched of a calendar.

    Attributes:
        rows: In the order of the requests; one that was moved may be there twice.
        failing: The records over which the vendor fails.
        is_whole: Whether every day of the window is provably whole.
    """

    rows: list[object] = field(default_factory=list)
    failing: list[QuarantinedRecord] = field(default_factory=list)
    is_whole: bool = True


def fetch_calendar(
    fetch: FetchPage, window: DateRange, zone: ZoneInfo, *, page_rows: int = PAGE_ROWS
) -> FetchedCalendar:
    """The rows of the window's business dates, and whether they are all.

    Args:
        fetch: Sends the requests.
        window: The business dates.
        zone: The clinic's time zone: a date begins at its midnight.
        page_rows: The rows of a full page.

    Raises:
        TransientError: If the vendor fails over more than single records.
        ContractViolation: If its pages never end.
        PimsError: From ``fetch``.
    """
    while True:
        fetching = _Fetching(fetch, zone, page_rows)
        for day in window:
            start, end = day_bounds(DateRange(day, day), zone)
            fetching.day(Span(start, end))
        cap = fetching.cap()
        if cap is None:
            return fetching.fetched
        # Fewer than before, so this ends.
        page_rows = cap


class _Fetching:
    """One listing in progress."""

    def __init__(self, fetch: FetchPage, zone: ZoneInfo, page_rows: int) -> None:
        self.fetched = FetchedCalendar()
        self._fetch = fetch
        self._zone = zone
        self._page_rows = page_rows
        self._faults = 0
        self._short: list[tuple[Span, int]] = []
        self._had_full_page = False

    def day(self, span: Span) -> None:
        """Fetch one day."""
        try:
            rows = self._whole(span)
        except ServerFault as fault:
            self._check_vendor(span, fault)
            rows = list(self._around_failing(span, fault))
        self.fetched.rows += rows

    def _whole(self, span: Span, tries: int | None = None) -> list[object]:
        """The rows of the span's only page, or of the last pass over its pages."""
        first = self._fetch(Page(span, 0, self._page_rows, tries))
        if len(first) < self._page_rows:
            self._short.append((span, len(first)))
            return first
        self._had_full_page = True
        rows = self._pass(span, first, tries)
        for _ in range(MOST_PASSES - 1):
            before = set(map(row_identity, rows))
            rows = self._pass(span, None, tries)
            if before == set(map(row_identity, rows)):
                return rows
        self.fetched.is_whole = False
        return rows

    def _pass(self, span: Span, first: list[object] | None, tries: int | None) -> list[object]:
        """The rows of all pages, up to one that is not full; ``first`` is the first page."""
        rows: list[object] = []
        page = first
        for number in range(MOST_PAGES):
            if page is None:
                # Not after the rows so far: a page may hold one too many, such as another
                # location's, and the row at that offset would be skipped in every pass.
                page = self._fetch(Page(span, number * self._page_rows, self._page_rows, tries))
            rows += page
            if len(page) < self._page_rows:
                return rows
            page = None
        raise ContractViolation(
            f"Cannot fetch the calendar of {self._day_of(span)} from Vetspire: its pages do not "
            f"end after {MOST_PAGES} pages of {self._page_rows} records. Nothing was changed; if "
            "it lasts, the vendor has changed its interface and the adapter must follow."
        )

    def cap(self) -> int | None:
        """How many rows the vendor sends at once, if that is fewer than a full page.

        A page that more rows follow was capped. If none follow the longest pages, shorter ones were
        not capped either.
        """
        longest = max((rows for _, rows in self._short), default=0)
        if self._had_full_page or longest < SMALLEST_CAP:
            return None
        spans = (span for span, rows in self._short if rows == longest)
        return longest if any(self._has_row(span, longest) for span in spans) else None

    def _has_row(self, span: Span, offset: int) -> bool:
        try:
            return bool(self._fetch(Page(span, offset, limit=1)))
        except ServerFault:
            # The vendor fails over a record there.
            return True

    def _check_vendor(self, span: Span, fault: ServerFault) -> None:
        """Raise the fault if the vendor also fails over a page without any record."""
        try:
            self._fetch(Page(span, offset=_FAR_OFFSET, limit=1, tries=1))
        except ServerFault:
            raise TransientError(str(fault)) from fault

    def _around_failing(self, span: Span, fault: ServerFault) -> Iterator[object]:
        """The rows of a span with a failing record; that one is quarantined."""
        self._faults += 1
        if self._faults > MOST_FAULTS:
            raise TransientError(str(fault)) from fault
        if span.end - span.start <= NARROWEST:
            yield from self._one_by_one(span, fault)
            return
        for half in span.halves():
            try:
                rows = self._whole(half, _TRIES_WHEN_NARROWING)
            except ServerFault as inner:
                yield from self._around_failing(half, inner)
            else:
                yield from rows

    def _one_by_one(self, span: Span, fault: ServerFault) -> list[object]:
        """The rows of a short span, when two passes agree on them and on the failing records."""
        rows, failing = self._single_rows(span, fault)
        for _ in range(MOST_PASSES - 1):
            before = _names(rows, failing)
            rows, failing = self._single_rows(span, fault)
            if before == _names(rows, failing):
                break
        else:
            self.fetched.is_whole = False
        self.fetched.failing += failing
        return rows

    def _single_rows(
        self, span: Span, fault: ServerFault
    ) -> tuple[list[object], list[QuarantinedRecord]]:
        """One pass over the span, record by record: the rows, and the records that fail."""
        rows: list[object] = []
        failing: dict[str, QuarantinedRecord] = {}
        for offset in range(self._page_rows + MOST_FAULTS):
            try:
                found = self._fetch(Page(span, offset, 1, _TRIES_WHEN_NARROWING))
            except ServerFault:
                self._faults += 1
                record = self._failing(span, offset)
                failing.setdefault(record.record_key, record)
            else:
                if not found:
                    return rows, list(failing.values())
                rows += found
            if self._faults > MOST_FAULTS:
                break
        raise TransientError(str(fault)) from fault

    def _failing(self, span: Span, offset: int) -> QuarantinedRecord:
        """The record, with its identity if the vendor sends that at least."""
        identity = self._identity_at(Page(span, offset, 1, tries=1, identities_alone=True))
        return QuarantinedRecord(
            record_key=identity or f"failing at {span.start.isoformat()} +{offset}",
            pims_id=identity,
            business_date=business_date(span.start, self._zone),
            error_class="ServerFault",
            error_message="the vendor's program fails over this record (500); ask the vendor",
        )

    def _identity_at(self, page: Page) -> str | None:
        try:
            rows = self._fetch(page)
        except (TransientError, ContractViolation):
            return None
        return readable_identity(rows[0]) if len(rows) == 1 else None

    def _day_of(self, span: Span) -> str:
        return business_date(span.start, self._zone).isoformat()


def _names(rows: list[object], failing: list[QuarantinedRecord]) -> set[str]:
    """What identifies the records of a pass."""
    return {*map(row_identity, rows), *(each.record_key for each in failing)}
