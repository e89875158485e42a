"""One vendor identity with several starts: which appointment each of them is.

Some vendors give all appointments of a series one identity. Each occurrence is an
appointment of its own. Its identity never changes once it is known, whatever window a
listing covers:

- an identity with one start only is the appointment's own identity, also when it moves;
- of an identity that was ever seen with several starts, each start is an occurrence, called
  by identity and local start. The occurrence that was known before the others came keeps
  the bare identity.

Pure. A listing of one window cannot tell a moved appointment from another occurrence that
stands outside it: ``unsettled_dates`` names the dates that have to be listed too.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from pims_pipeline.domain.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.clinics import DateRange

_OCCURRENCE = re.compile(
    r"(?P<series>.+)@\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[+-]\d{2}:\d{2})?",
    re.DOTALL,
)


class KnownOccurrence(Protocol):
    """What has to be known of a landed appointment."""

    @property
    def pims_id(self) -> str:
        """The appointment's identity."""

    @property
    def series_id(self) -> str | None:
        """The vendor's identity, where the appointment's is another."""

    @property
    def starts_at(self) -> datetime | None:
        """When it begins; aware UTC."""

    @property
    def business_date(self) -> date | None:
        """On which date."""

    @property
    def is_absent(self) -> bool:
        """Whether the vendor was already found not to have it (there)."""

    def is_newer_than(self, moment: datetime) -> bool:
        """Whether it is known from a listing fetched after ``moment``."""


def occurrence_identity(series_id: str, start: datetime, zone: ZoneInfo) -> str:
    """What the occurrence of a series at ``start`` (aware) is called.

    Of an hour that the clocks show twice, the second is told by its offset.
    """
    local = start.astimezone(zone)
    # The first reading of the same wall-clock time is another moment only if it is repeated.
    repeated = local.fold == 1
    local = local.replace(tzinfo=local.tzinfo if repeated else None)
    return f"{series_id}@{local.isoformat(timespec='auto' if local.second else 'minutes')}"


def series_of(appointment_id: str) -> str | None:
    """The vendor's identity in the identity of an occurrence; None in every other."""
    match = _OCCURRENCE.fullmatch(appointment_id)
    return match["series"] if match else None


def identify_occurrences(
    appointments: Collection[PimsAppointment], zone: ZoneInfo
) -> tuple[PimsAppointment, ...]:
    """The appointments of one listing, by what the listing itself shows to be a series."""
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
        zone: The clinic's.
    """
    seen = _Seen.of(snapshot, known)
    return replace(
        snapshot,
        appointments=tuple(_recognized(each, seen, zone) for each in snapshot.appointments),
    )


def unsettled_dates(snapshot: Snapshot, known: Mapping[str, KnownOccurrence]) -> tuple[date, ...]:
    """Business dates outside the window on which appointments may still stand.

    An appointment of the listing is known with another start, on a date that the listing
    does not cover. Whether it was moved or is another occurrence, only that date can tell.
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
    """The listing, with what a further one of other dates shows of its identities."""
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
    """Few windows of at most ``max_days`` that hold the dates, and what lies between them."""
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
        starts: Where the listing, and what was listed beside it, has the identity.
        unreadable: Identities of which the listing, or what was listed beside it, has a record
            that cannot be read.
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
        # The record that cannot be read may be the one that is known.
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
        # Landed before the others came; it says of itself what it said then.
        return replace(appointment, appointment_id=identity, series_id=None)
    return _occurrence(appointment, named)


def _occurrence(appointment: PimsAppointment, called: str) -> PimsAppointment:
    return replace(appointment, appointment_id=called, series_id=appointment.vendor_identity)
