"""The records of a listing in their places: appointments, quarantined, outside, duplicates. Pure.

A record is read by its adapter, with a function that returns an appointment or a quarantined
record. What the fields of a record mean belongs there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, QuarantinedRecord
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.oddities import FieldOddity, Oddities, combined
from pims_pipeline.domain.records.series import identify_occurrences

VENDOR_SKEW = timedelta(days=1)
"""How far a vendor's clock may be ahead of ours."""

ReadRecord = Callable[[object, list[FieldOddity]], PimsAppointment | QuarantinedRecord]
"""Reads one record, and adds the descriptive fields that it cannot read to the list."""


@dataclass(frozen=True, slots=True)
class SortedRecords:
    """Every record of a listing, in exactly one of four places.

    Attributes:
        appointments: Inside the window, each identity once.
        elsewhere: Readable records whose business date is not in the window.
        outside: The positions of those, and of unreadable ones outside the window.
        duplicates: Positions of records with the identity and start of another record that is as
            new or newer.
        oddities: Descriptive fields that could not be read, of the appointments.
    """

    appointments: tuple[PimsAppointment, ...]
    quarantined: tuple[QuarantinedRecord, ...]
    elsewhere: tuple[PimsAppointment, ...]
    outside: tuple[int, ...]
    duplicates: tuple[int, ...]
    oddities: Oddities = ()


@dataclass(frozen=True, slots=True)
class _Read:
    position: int
    appointment: PimsAppointment
    odd: list[FieldOddity]


@dataclass(slots=True)
class _Sorting:
    """What has been sorted so far; see ``sorted_records`` for ``changed_by``."""

    changed_by: datetime | None
    readable: dict[tuple[str, datetime], _Read] = field(default_factory=dict)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)

    def take(self, read: _Read) -> None:
        """Keep a readable record, unless a newer one has its identity and start."""
        key = (read.appointment.appointment_id, read.appointment.scheduled_start)
        rival = self.readable.get(key)
        if rival is not None and _is_older(read.appointment, rival.appointment, self.changed_by):
            self.duplicates.append(read.position)
            return
        if rival is not None:
            self.duplicates.append(rival.position)
        self.readable[key] = read


def sorted_records(
    records: Iterable[object],
    read: ReadRecord,
    *,
    window: DateRange,
    zone: ZoneInfo,
    changed_by: datetime | None = None,
) -> SortedRecords:
    """Each of a listing's ``records`` in its place.

    When an identity comes twice with one start, the record that the vendor changed last wins; if
    that is unknown, the last in the listing. An identity with several starts is a series: each
    start is an appointment of its own (``domain/records/series.py``). Unreadable records are never
    treated as duplicates.

    A time of change after ``changed_by`` (aware) is wrong and ignored.
    """
    sorting = _Sorting(changed_by)
    for position, record in enumerate(records):
        odd: list[FieldOddity] = []
        parsed = read(record, odd)
        if isinstance(parsed, PimsAppointment):
            sorting.take(_Read(position, parsed, odd))
        elif parsed.business_date is not None and parsed.business_date not in window:
            sorting.outside.append(position)
        else:
            sorting.quarantined.append(parsed)
    kept = list(sorting.readable.values())
    appointments = identify_occurrences([each.appointment for each in kept], zone)
    inside = [each.business_date in window for each in appointments]
    return SortedRecords(
        appointments=tuple(a for a, is_in in zip(appointments, inside, strict=True) if is_in),
        quarantined=_each_by_its_own_key(sorting.quarantined),
        elsewhere=tuple(a for a, is_in in zip(appointments, inside, strict=True) if not is_in),
        outside=(
            *sorting.outside,
            *(each.position for each, is_in in zip(kept, inside, strict=True) if not is_in),
        ),
        duplicates=tuple(sorting.duplicates),
        oddities=combined(
            odd for each, is_in in zip(kept, inside, strict=True) if is_in for odd in each.odd
        ),
    )


def _is_older(one: PimsAppointment, other: PimsAppointment, changed_by: datetime | None) -> bool:
    first, second = one.vendor_updated_at, other.vendor_updated_at
    if first is None or second is None:
        return False
    return first < second and (changed_by is None or second <= changed_by)


def _each_by_its_own_key(records: list[QuarantinedRecord]) -> tuple[QuarantinedRecord, ...]:
    """The records, with a number added to a key that an earlier one has."""
    taken: dict[str, int] = {}
    numbered: list[QuarantinedRecord] = []
    for record in records:
        number = taken[record.record_key] = taken.get(record.record_key, 0) + 1
        key = record.record_key if number == 1 else f"{record.record_key}#{number}"
        numbered.append(replace(record, record_key=key))
    return tuple(numbered)


def key_of_unidentified(record: object) -> str:
    """The key of a quarantined record whose identity cannot be read: a digest of its content."""
    try:
        return f"sha256:{digest(canonical_json({'record': record}))}"
    except RecursionError:
        return "too deeply nested"
