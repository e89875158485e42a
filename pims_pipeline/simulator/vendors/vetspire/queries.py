"""What each query gives: which rows, in which order, from which of the key's locations.

How a row looks belongs in ``wire`` and ``encounters``. An instance serves one request; graphql-core
calls its methods by the names of the schema's queries.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from graphql import GraphQLError, GraphQLResolveInfo

from pims_pipeline.simulator.faults import Fault
from pims_pipeline.simulator.practice.calendar import Calendar, UnknownEntry
from pims_pipeline.simulator.practice.entries import CONSULTATION_OFFSET, Entry
from pims_pipeline.simulator.state import ForeignLocation, Practice
from pims_pipeline.simulator.vendors.vetspire.encounters import (
    appointment_with_encounters,
    encounter_row,
)
from pims_pipeline.simulator.vendors.vetspire.record_faults import (
    Found,
    change_calendar,
    change_page,
)
from pims_pipeline.simulator.vendors.vetspire.wire import (
    FINISHED,
    Row,
    changed_between,
    location_row,
    type_rows,
    updated_at,
    utc_of,
)

MAX_ROWS = 200
"""How many rows one query gives at most, whatever limit it names."""
UNBOUNDED_DAYS = 120
"""How far from today a query reaches that names no start or no end."""
_ID_DIGITS = 18
_ALL_IDS = 10**_ID_DIGITS
Arguments = Mapping[str, object]


class Queries:
    """The root of one request.

    Args:
        practices: The clinics that the request's key opens.
        faults: The faults of a listing's rows.
        foreign_location: What is given for a location that the key does not open.

    Attributes:
        listed: The clinics that the request listed.
    """

    def __init__(
        self,
        practices: Sequence[Practice],
        faults: Sequence[Fault] = (),
        foreign_location: ForeignLocation = "refused",
    ) -> None:
        self._practices = practices
        self._faults = faults
        self._foreign_location = foreign_location
        self.listed: list[Practice] = []

    def appointments(self, _info: GraphQLResolveInfo, **asked: object) -> list[Row]:
        """A page of the calendar, by start and then id."""
        location = asked.get("locationId")
        calendars = self._calendars(None if location is None else [location])
        self.listed += [each for each in self._practices if each.calendar in calendars]
        found = change_calendar(self._faults, _listed_in(calendars, asked))
        page = _page(found, asked)
        rows = [appointment_with_encounters(entry, calendar) for calendar, entry in page]
        return change_page(self._faults, rows, lambda: self._foreign_row(calendars, asked))

    def _foreign_row(self, calendars: Sequence[Calendar], asked: Arguments) -> Row:
        """An appointment of a location that was not asked for; empty, if the key opens none."""
        others = [each for each in self._calendars(None) if each not in calendars]
        for calendar, entry in _listed_in(others, asked):
            return appointment_with_encounters(entry, calendar)
        return {}

    def location_of(self, name: str, asked: Arguments) -> str | None:
        """The one location that a query concerns, if it is one."""
        if len(self._practices) == 1:
            return self._practices[0].clinic.company_id
        several = asked.get("locationIds")
        named = several if isinstance(several, list) else [asked.get("locationId")]
        if "id" in asked:
            number = _number(asked) % (CONSULTATION_OFFSET if name == "encounter" else _ALL_IDS)
            holders = [each for each in self._practices if _entry(each.calendar, number)]
            named = [each.clinic.company_id for each in holders]
        return str(named[0]) if len(named) == 1 and named[0] is not None else None

    def appointment(self, _info: GraphQLResolveInfo, **asked: object) -> Row | None:
        """One appointment, deleted or not; ``deletedLookup`` decides how a deleted one looks."""
        for practice in self._practices:
            entry = _entry(practice.calendar, _number(asked))
            if entry is None or entry.kind == "roster":
                continue
            if entry.deleted and practice.deleted_lookup in {"not_found", "gone"}:
                break
            if entry.deleted and practice.deleted_lookup == "null":
                return None
            return appointment_with_encounters(entry, practice.calendar)
        raise UnknownEntry("Appointment not found")

    def encounters(self, _info: GraphQLResolveInfo, **asked: object) -> list[Row]:
        """A page of the consultations, by their last change and then id."""
        locations = asked.get("locationIds")
        calendars = self._calendars(locations if isinstance(locations, list) else None)
        found = [
            (calendar, entry)
            for calendar in calendars
            for entry in _between(calendar, None, None)
            if entry.consultation_id is not None and _is_changed(calendar, entry, asked)
        ]
        found.sort(key=lambda each: (updated_at(each[1], each[0]), each[1].id))
        return [encounter_row(entry, calendar) for calendar, entry in _page(found, asked)]

    def encounter(self, _info: GraphQLResolveInfo, **asked: object) -> Row:
        """One consultation."""
        number = _number(asked)
        for practice in self._practices:
            entry = _entry(practice.calendar, number % CONSULTATION_OFFSET)
            if entry is not None and entry.consultation_id == number:
                return encounter_row(entry, practice.calendar)
        raise UnknownEntry("Encounter not found")

    def appointmentTypes(self, _info: GraphQLResolveInfo) -> Iterable[Row]:  # noqa: N802 - GraphQL
        """The organisation's types."""
        return list(type_rows())

    def locations(self, _info: GraphQLResolveInfo) -> list[Row]:
        """The locations that the key opens."""
        return [location_row(practice.clinic) for practice in self._practices]

    def _calendars(self, locations: Sequence[object] | None) -> list[Calendar]:
        """The calendars of these locations; of all that the key opens, if none is named."""
        opened = {practice.clinic.company_id: practice.calendar for practice in self._practices}
        if locations is None:
            return list(opened.values())
        known = [str(location) for location in locations if str(location) in opened]
        if len(known) < len(locations) and self._foreign_location == "refused":
            raise GraphQLError("Unauthorized")
        return [opened[location] for location in known]


def _listed_in(calendars: Iterable[Calendar], asked: Arguments) -> list[Found]:
    start, end = _moment(asked, "start"), _moment(asked, "end")
    found = [
        (calendar, entry)
        for calendar in calendars
        for entry in _between(calendar, start, end)
        if _is_listed(entry, asked) and _is_changed(calendar, entry, asked)
    ]
    return sorted(found, key=lambda each: (utc_of(each[1].start, each[0].clinic), each[1].id))


def _between(calendar: Calendar, start: datetime | None, end: datetime | None) -> Iterator[Entry]:
    """Records from ``start`` on and before ``end``; edited ones too beyond the days searched."""
    zone, reach = calendar.clinic.zone, timedelta(days=UNBOUNDED_DAYS)
    first = start.astimezone(zone).date() if start else calendar.today - reach
    last = end.astimezone(zone).date() if end else max(first, calendar.today) + reach
    listed = {entry.id: entry for day in calendar.days(first, last) for entry in day}
    for entry in (listed | {entry.id: entry for entry in calendar.edited()}).values():
        begins = utc_of(entry.start, calendar.clinic)
        if (start is None or start <= begins) and (end is None or begins < end):
            yield entry


def _is_listed(entry: Entry, asked: Arguments) -> bool:
    if entry.kind == "roster" or entry.deleted is not bool(asked.get("onlyDeleted")):
        return False
    return bool(asked.get("includeCompleted")) or entry.status not in FINISHED


def _is_changed(calendar: Calendar, entry: Entry, asked: Arguments) -> bool:
    start, end = _moment(asked, "updatedAtStart"), _moment(asked, "updatedAtEnd")
    return (start is None and end is None) or changed_between(entry, calendar, start, end)


def _page(found: Sequence[Found], asked: Arguments) -> Sequence[Found]:
    limit, offset = asked.get("limit"), asked.get("offset")
    limit = MAX_ROWS if not isinstance(limit, int) else min(limit, MAX_ROWS)
    offset = offset if isinstance(offset, int) else 0
    if limit < 1 or offset < 0:
        raise GraphQLError("limit must be at least 1, and offset at least 0")
    return found[offset : offset + limit]


def _moment(asked: Arguments, name: str) -> datetime | None:
    value = asked.get(name)
    return value if isinstance(value, datetime) else None


def _number(asked: Arguments) -> int:
    """The id in a request; -1, which no record has, for text that is no number."""
    text = str(asked["id"])
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS else -1


def _entry(calendar: Calendar, entry_id: int) -> Entry | None:
    try:
        return calendar.entry(entry_id)
    except UnknownEntry:
        return None
