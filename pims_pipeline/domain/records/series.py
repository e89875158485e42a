"""The occurrences of a series: appointments to which a vendor gives one common identity.

Each occurrence is an appointment. Its identity here never changes, whatever window a listing
covers:

- an identity with a single start is the appointment's own identity, also when it moves;
- an identity that was ever seen with several starts is a series: each start is an occurrence,
  named by identity and local start. The occurrence that was known first keeps the bare identity.

Pure. One listing cannot distinguish a moved appointment from an occurrence outside its window:
``unsettled_dates`` names the dates that must be listed too.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot

_OCCURRENCE = re.compile(
    r"(?P<series>.+)@\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[+-]\d{2}:\d{2})?",
    re.DOTALL,
)


class KnownOccurrence(Protocol):
    """What this module needs to know of a landed appointment."""

    @property
    def pims_id(self) -> str:
        """The appointment's identity."""

    @property
    def series_id(self) -> str | None:
        """The vendor's identity, if it is not the appointment's."""

    @property
    def starts_at(self) -> datetime | None:
        """When it begins; aware UTC."""

    @property
    def business_date(self) -> date | None:
        """Its business date."""

    @property
    def is_absent(self) -> bool:
        """Whether it is already known to be gone from its date."""

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether it is known from a listing fetched after ``moment``."""


def occurrence_identity(series_id: str, start: datetime, zone: ZoneInfo) -> str:
    """The identity of the occurrence of a series at ``start`` (aware).

    In an hour that a clock change repeats, the second occurrence is named with its offset.
    """
    local = start.astimezone(zone)
    repeated = local.fold == 1
    local = local.replace(tzinfo=local.tzinfo if repeated else None)
    return f"{series_id}@{local.isoformat(timespec='auto' if local.second else 'minutes')}"


def series_of(appointment_id: str) -> str | None:
    """The vendor's identity within the identity of an occurrence; None if it is not one."""
    match = _OCCURRENCE.fullmatch(appointment_id)
    return match["series"] if match else None


def identify_occurrences(
    appointments: Collection[PimsAppointment], zone: ZoneInfo
) -> tuple[PimsAppointment, ...]:
    """The appointments of one listing, with occurrence identities for the series it shows."""
    starts: defaultdict[str, set[datetime]] = defaultdict(set)
    for each in appointments:
        starts[each.vendor_identity].add(each.scheduled_start)
    return tuple(
        each
        if len(starts[each.vendor_identity]) == 1
        else _occurrence(
            each, occurrence_identity(each.vendor_identity, each.scheduled_start, zone)
        )
        for each in appointments
    )


def recognized(
    snapshot: Snapshot, known: Mapping[str, KnownOccurrence], zone: ZoneInfo
) -> Snapshot:
    """The listing with the identities by which its appointments are known.

    Args:
        snapshot: The listing. Recognizing it again changes nothing.
        known: By identity: everything known of the listing's vendor identities.
        zone: The clinic's time zone.
    """
    seen = _Seen.of(snapshot, known)
    return replace(
        snapshot,
        appointments=tuple(_recognized(each, seen, zone) for each in snapshot.appointments),
    )


def unsettled_dates(snapshot: Snapshot, known: Mapping[str, KnownOccurrence]) -> tuple[date, ...]:
    """Business dates outside the window that must be listed to identify the appointments.

    An appointment of the listing is known with another start, on a date that the listing does not
    cover. Only a listing of that date shows whether it moved or is another occurrence.
    """
    seen = _Seen.of(snapshot, known)
    dates: set[date] = set()
    for each in snapshot.appointments:
        identity = each.vendor_identity
        before = seen.known[identity]
        if seen.is_series(identity) or len(before) != 1:
            continue
        (one,) = before
        if (
            one.starts_at != each.scheduled_start
            and one.business_date is not None
            and one.business_date not in snapshot.window
            and not one.is_absent
            and not one.is_newer_than(snapshot.fetched_at)
        ):
            dates.add(one.business_date)
    return tuple(sorted(dates))


def with_further_listing(snapshot: Snapshot, further: Snapshot) -> Snapshot:
    """The listing, with what a listing of further dates shows of its identities."""
    identities = {each.vendor_identity for each in snapshot.appointments}
    found = (
        *further.elsewhere,
        *((a.vendor_identity, a.scheduled_start) for a in further.appointments),
    )
    more = tuple(each for each in found if each[0] in identities)
    unreadable = tuple(each.pims_id for each in further.quarantined if each.pims_id in identities)
    return replace(
        snapshot,
        elsewhere=(*snapshot.elsewhere, *more),
        unreadable_elsewhere=(*snapshot.unreadable_elsewhere, *filter(None, unreadable)),
    )


def windows_around(dates: Collection[date], max_days: int) -> list[DateRange]:
    """Few windows of at most ``max_days`` that hold the dates, and the dates between them."""
    windows: list[DateRange] = []
    for day in sorted(dates):
        if windows and (day - windows[-1].start).days < max_days:
            windows[-1] = DateRange(windows[-1].start, day)
        else:
            windows.append(DateRange(day, day))
    return windows


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a listing shows and what is known, by vendor identity.

    Attributes:
        starts: The starts of each identity in this and further listings.
        unreadable: Identities with an unreadable record in this or a further listing.
    """

    starts: Mapping[str, set[datetime]]
    known: Mapping[str, list[KnownOccurrence]]
    unreadable: frozenset[str]

    @classmethod
    def of(cls, snapshot: Snapshot, known: Mapping[str, KnownOccurrence]) -> "_Seen":
        starts: defaultdict[str, set[datetime]] = defaultdict(set)
        for each in snapshot.appointments:
            starts[each.vendor_identity].add(each.scheduled_start)
        for identity, start in snapshot.elsewhere:
            starts[identity].add(start)
        by_identity: defaultdict[str, list[KnownOccurrence]] = defaultdict(list)
        for one in known.values():
            by_identity[one.series_id or one.pims_id].append(one)
        quarantined = (each.pims_id for each in snapshot.quarantined if each.pims_id)
        unreadable = frozenset((*quarantined, *snapshot.unreadable_elsewhere))
        return cls(starts, by_identity, unreadable)

    def is_series(self, identity: str) -> bool:
        """Whether the identity has had more than one start at a time."""
        known = self.known[identity]
        if len(self.starts[identity]) > 1 or len(known) > 1:
            return True
        if any(one.pims_id != identity for one in known):
            return True
        # The unreadable record may be the known one.
        places = self.starts[identity] | {one.starts_at for one in known}
        return identity in self.unreadable and len(places) > 1


def _recognized(appointment: PimsAppointment, seen: _Seen, zone: ZoneInfo) -> PimsAppointment:
    identity = appointment.vendor_identity
    if not seen.is_series(identity):
        return appointment
    named = occurrence_identity(identity, appointment.scheduled_start, zone)
    known = {one.pims_id: one for one in seen.known[identity]}
    bare = known.get(identity)
    if bare and bare.starts_at == appointment.scheduled_start and named not in known:
        # The occurrence that was known first keeps its identity and its digest.
        return replace(appointment, appointment_id=identity, series_id=None)
    return _occurrence(appointment, named)


def _occurrence(appointment: PimsAppointment, identity: str) -> PimsAppointment:
    return replace(appointment, appointment_id=identity, series_id=appointment.vendor_identity)
