"""How the time of a v4.0 case differs from ours: another date, a shift, or another time.

Pure. The v4.0 service read the vendor's wall-clock times in the zone of its server, so a shift by
whole hours is named as such, with the zone that explains it where one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import business_date, local_to_utc

MAX_SHIFT = timedelta(hours=14)
"""The largest offset of a zone: a time that was read in UTC by mistake is not further off."""
_SAME = timedelta(minutes=1)
"""Both sides keep minutes; what is less than one apart is the same."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class When:
    """How a time differs.

    Attributes:
        kind: Names the kind of difference.
        ours: Our date or time, as text.
        theirs: Their date or time; None if they have none.
        hours: By how many hours theirs is later; None unless it is shifted.
        zone: The zone that explains it; None if none does.
    """

    kind: Literal["date", "time", "time_shifted"]
    ours: str
    theirs: str | None
    hours: float | None = None
    zone: str | None = None


def when_differs(
    ours: datetime,
    theirs: datetime | date | None,
    zone: ZoneInfo,
    suspected_zones: Sequence[ZoneInfo] = (),
) -> When | None:
    """How their time differs from ours; None if it does not.

    Args:
        ours: When our appointment starts, aware.
        theirs: Their time, aware; or their date, where they keep no times; or None.
        zone: The clinic's time zone.
        suspected_zones: Zones in which v4.0 may have read the vendor's times.

    Example:
        9 o'clock in New York is 13:00 UTC in summer. A server that reads it in UTC stores 09:00
        UTC: the shift is -4 hours, and the zone UTC explains it.
    """
    if isinstance(theirs, datetime):
        return _times(ours, theirs, zone, suspected_zones)
    our_date = business_date(ours, zone)
    if theirs == our_date:
        return None
    explaining = (each.key for each in suspected_zones if business_date(ours, each) == theirs)
    return When(
        "date",
        our_date.isoformat(),
        None if theirs is None else theirs.isoformat(),
        zone=next(explaining, None) if theirs is not None else None,
    )


def _times(
    ours: datetime, theirs: datetime, zone: ZoneInfo, suspected_zones: Sequence[ZoneInfo]
) -> When | None:
    shift = theirs - ours
    if abs(shift) < _SAME:
        return None
    explained_by = _explaining_zone(ours, theirs, zone, suspected_zones)
    shown = ours.isoformat(), theirs.isoformat()
    if explained_by is not None or (abs(shift) <= MAX_SHIFT and not shift % _HOUR):
        return When("time_shifted", *shown, hours=shift / _HOUR, zone=explained_by)
    our_date, their_date = business_date(ours, zone), business_date(theirs, zone)
    if our_date != their_date:
        return When("date", our_date.isoformat(), their_date.isoformat())
    return When("time", *shown)


def _explaining_zone(
    ours: datetime, theirs: datetime, zone: ZoneInfo, suspected_zones: Sequence[ZoneInfo]
) -> str | None:
    """The zone in which the clinic's wall-clock time is their time."""
    wall_clock = ours.astimezone(zone).replace(tzinfo=None)
    return next(
        (each.key for each in suspected_zones if local_to_utc(wall_clock, each) == theirs), None
    )
