"""Ticks: the times that a cron expression means in a time zone.

A cron expression names minutes of a wall clock. Each names a *tick*: the time at which the clock
first shows that minute or a later one. So the minutes that a clock change skips tick once, at the
end of the gap. The minutes that a clock change repeats tick the first time only: ``*/15`` pauses
during the repeated hour. Which ticks are due belongs in ``timetable``.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import Clinic, zone_named
from pims_pipeline.scheduling.cron import Cron, parse_schedule

_SECOND = timedelta(seconds=1)


class Timetable(NamedTuple):
    """A cron expression and its time zone."""

    cron: Cron
    zone: ZoneInfo


def timetable(clinic: Clinic, text: str) -> Timetable | None:
    """The timetable of a phase's stored schedule at the clinic; None for ``off``.

    Raises:
        BadCron: If the schedule is invalid.
        ValueError: If the clinic's time zone is unknown.
    """
    cron = parse_schedule(text)
    return None if cron is None else Timetable(cron, zone_named(clinic.timezone))


def next_ticks(cron: Cron, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    """The first ticks after ``after`` (aware), in UTC; fewer if the expression has no more."""
    return list(islice(_ticks_after(cron, zone, after), count))


def _ticks_after(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for local in cron.after(_wall_clock(after, zone)):
        tick = _first_shown(local, zone)
        if tick > last:
            last = tick
            yield tick


def latest_tick(cron: Cron, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The last tick not later than ``at`` (aware), in UTC; None without one in 50 years."""
    return next(ticks_up_to(cron, zone, at), None)


def ticks_up_to(cron: Cron, zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """The ticks not later than ``at`` (aware), in UTC, the latest first."""
    local = at.astimezone(zone)
    start = local.replace(tzinfo=None)
    if local.fold:
        # The clock was put back, so it has already shown later times.
        start += _offset(local.replace(fold=0)) - _offset(local)
    last = at + _SECOND
    for each in cron.up_to(start):
        tick = _first_shown(each, zone)
        if tick <= at and tick < last:
            last = tick
            yield tick


def _first_shown(local: datetime, zone: ZoneInfo) -> datetime:
    """The first time, in UTC, at which clocks in the zone show ``local`` or a later time."""
    first = local.replace(tzinfo=zone, fold=0)
    tick = first.astimezone(UTC)
    if _wall_clock(tick, zone) == local:
        return tick
    # Skipped. The offset before the gap gives a time after the gap's end, by less than the gap's
    # length; the clock jumps somewhere in between.
    gap = _offset(local.replace(tzinfo=zone, fold=1)) - _offset(first)
    before = tick - gap
    seconds = range(int(gap.total_seconds()) + 1)
    passed = bisect_left(
        seconds, local, key=lambda second: _wall_clock(before + second * _SECOND, zone)
    )
    return before + passed * _SECOND


def _wall_clock(time: datetime, zone: ZoneInfo) -> datetime:
    return time.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(time: datetime) -> timedelta:
    return time.utcoffset() or timedelta()
