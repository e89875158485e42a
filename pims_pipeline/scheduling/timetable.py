"""When clinics are synced: what a cron expression means in a zone, and what is due at a moment.

Everything here is pure: schedules, the moment up to which ticks were dealt with, and the
present moment are arguments. Where schedules are read stands in ``store/schedules.py``; what
is launched for due ticks, in ``orchestration/sensors/scheduled_runs.py``.

A cron expression names minutes of a wall clock. Its *ticks* are moments: a tick comes as soon
as the clock shows its minute, or a later one. So a minute that a clock change skips ticks at
the end of the gap, several of them together once; and a minute that a clock change repeats
ticks the first time. ``*/15`` therefore pauses while an hour is repeated.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pims_pipeline.domain.clinics import Clinic, zone_named
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import OFF, ClinicSchedule

MAX_CRON_LENGTH = 200
"""Characters of the longest expression that is read."""

CLOCK_TOLERANCE = timedelta(hours=1)
"""A clock that went back by no more is waited for; one that went back further is believed."""

_FIELDS = 5
_SHOWN = 40
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall clock's time has no zone


class BadCron(UserFacingError, ValueError):
    """What should be a cron expression is none, or names a minute that never comes."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression that was read; ``parse_cron`` makes them.

    Attributes:
        text: In capitals, its five fields separated by single spaces.
    """

    text: str

    def up_to(self, local: datetime) -> Iterator[datetime]:
        """The minutes it names, from that of ``local`` (naive) backwards."""
        return CronSim(self.text, _minute_of(local) + _MINUTE, reverse=True)

    def after(self, local: datetime) -> Iterator[datetime]:
        """The minutes it names, later than that of ``local`` (naive)."""
        return CronSim(self.text, _minute_of(local))


def parse_cron(text: str) -> Cron:
    """Read a cron expression: minute, hour, day of the month, month, day of the week.

    Each is ``*``, a number, a range, a list or a step; months and days of the week also by
    their English names, ``L`` is the last day of the month, ``FRI#1`` the month's first
    Friday. When days of the month and of the week are both given, either will do.

    Raises:
        BadCron: If it is none; says what is wrong.
    """
    if len(text) > MAX_CRON_LENGTH:
        raise BadCron(f"{_shown(text)} has more than {MAX_CRON_LENGTH} characters")
    return _parsed(" ".join(text.upper().split()), text)


@lru_cache(maxsize=10_000)
def _parsed(normal: str, text: str) -> Cron:
    if len(normal.split()) != _FIELDS:
        raise BadCron(
            f"{_shown(text)} is not a cron expression of five fields (minute, hour, day of the "
            'month, month, day of the week), such as "*/15 * * * *"'
        )
    try:
        next(CronSim(normal, _ANY_DAY))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ").replace("-", " ")
        wrong = "is none, or never comes" if field == "day of month" else "is none"
        raise BadCron(f"{_shown(text)} is not a cron expression: its {field} {wrong}") from None
    except StopIteration:
        raise BadCron(f"{_shown(text)} names no minute of the next fifty years") from None
    return Cron(normal)


def parse_schedule(text: str) -> Cron | None:
    """What is stored for a phase: a cron expression, or None where it says ``off``.

    Raises:
        BadCron: If it is neither.
    """
    return None if text.strip().lower() == OFF else parse_cron(text)


class Timetable(NamedTuple):
    """A cron expression and the zone of the clocks it is read by."""

    cron: Cron
    zone: ZoneInfo


def timetable(clinic: Clinic, text: str) -> Timetable | None:
    """What a phase's stored schedule means at the clinic; None where it says ``off``.

    Raises:
        BadCron: If it is no schedule.
        ValueError: If the clinic's time zone is none.
    """
    cron = parse_schedule(text)
    return None if cron is None else Timetable(cron, zone_named(clinic.timezone))


def next_ticks(cron: Cron, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    """The first ticks later than ``after`` (aware), in UTC; fewer where time ends."""
    return list(islice(_ticks_after(cron, zone, after), count))


def _ticks_after(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for local in cron.after(_wall_clock(after, zone)):
        tick = _first_shown(local, zone)
        if tick > last:
            last = tick
            yield tick


def latest_tick(cron: Cron, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The last tick up to and including ``at`` (aware), in UTC; None without one in 50 years."""
    return next(_ticks_up_to(cron, zone, at), None)


def _ticks_up_to(cron: Cron, zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    local = at.astimezone(zone)
    start = local.replace(tzinfo=None)
    if local.fold:
        # The clock was put back and has shown later times already.
        start += _offset(local.replace(fold=0)) - _offset(local)
    last = at + _SECOND
    for each in cron.up_to(start):
        tick = _first_shown(each, zone)
        if tick <= at and tick < last:
            last = tick
            yield tick


def _first_shown(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which clocks in the zone show ``local`` or a later time."""
    first = local.replace(tzinfo=zone, fold=0)
    moment = first.astimezone(UTC)
    if _wall_clock(moment, zone) == local:
        return moment
    # Skipped. The offset before the gap puts the moment after the gap's end, by less than the
    # gap's length; the clock jumps somewhere in between.
    gap = _offset(local.replace(tzinfo=zone, fold=1)) - _offset(first)
    before = moment - gap
    seconds = range(int(gap.total_seconds()) + 1)
    passed = bisect_left(
        seconds, local, key=lambda second: _wall_clock(before + second * _SECOND, zone)
    )
    return before + passed * _SECOND


def _wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _minute_of(local: datetime) -> datetime:
    return local.replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class DueTick:
    """A phase that a clinic is due for.

    Attributes:
        tick: When it became due, in UTC.
    """

    schedule: ClinicSchedule
    phase: Phase
    tick: datetime

    @property
    def slug(self) -> str:
        """The clinic's."""
        return self.schedule.clinic.slug


@dataclass(frozen=True, slots=True)
class MalformedCron:
    """A schedule that cannot be read, so that the phase is not synced by itself.

    Attributes:
        why: What is wrong, and the words that are, shortened.
    """

    clinic: Clinic
    phase: Phase
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is due.

    Attributes:
        due: By phase, then as the schedules came.
        malformed: Likewise.
        until: The moment up to which everything is dealt with, once this is.
        started_over: Whether the clock went back so far that past ticks were forgotten.
    """

    due: list[DueTick]
    malformed: list[MalformedCron]
    until: datetime
    started_over: bool = False


def decide(schedules: Sequence[ClinicSchedule], since: datetime | None, now: datetime) -> Decision:
    """Decide which clinics are due for which phases.

    Of each clinic and phase, that is the latest tick up to ``now`` if it lies after ``since``
    and after everything that makes older ones void (see ``ClinicSchedule``). However many
    were missed, one is due, and none when the latest is one interval old or older: as long
    ago as the tick before it lies before it.

    Args:
        schedules: Those of the active clinics.
        since: Up to when everything has been dealt with; None the first time ever, when
            nothing of the past is due.
        now: The present moment. One a little before ``since`` means that the clock was put
            back: nothing is due until it has caught up. One long before it means that the
            clock was wrong: everything starts from ``now``.
    """
    malformed = malformed_crons(schedules)
    if since is None or now < since - CLOCK_TOLERANCE:
        return Decision([], malformed, now, started_over=since is not None)
    if now < since:
        return Decision([], malformed, since)
    latest = _LatestTicks(since, now)
    due = [
        DueTick(schedule, phase, tick)
        for phase in Phase
        for schedule in schedules
        if isinstance(read := _read(schedule, phase), Timetable)
        and (tick := latest.of(read)) is not None
        and tick > schedule.void_until(phase, now)
    ]
    return Decision(due, malformed, now)


def malformed_crons(schedules: Sequence[ClinicSchedule]) -> list[MalformedCron]:
    """The schedules that cannot be read, by phase, then as they came."""
    return [
        MalformedCron(schedule.clinic, phase, read)
        for phase in Phase
        for schedule in schedules
        if isinstance(read := _read(schedule, phase), str)
    ]


def _read(schedule: ClinicSchedule, phase: Phase) -> Timetable | str | None:
    """When the phase is due; what is wrong, where that cannot be told; None for never."""
    try:
        return timetable(schedule.clinic, schedule.config.sync_schedules[phase])
    except ValueError as error:
        return str(error)


class _LatestTicks:
    """The latest ticks of one moment, each expression and zone looked at once."""

    def __init__(self, since: datetime, now: datetime) -> None:
        self._since = since
        self._now = now
        self._known: dict[Timetable, datetime | None] = {}

    def of(self, read: Timetable) -> datetime | None:
        """The latest tick, if it lies after ``since`` and is less than one interval old."""
        if read not in self._known:
            self._known[read] = self._found(*read)
        return self._known[read]

    def _found(self, cron: Cron, zone: ZoneInfo) -> datetime | None:
        ticks = _ticks_up_to(cron, zone, self._now)
        latest = next(ticks, None)
        if latest is None or latest <= self._since:
            return None
        before = next(ticks, None)
        if before is not None and self._now - latest >= latest - before:
            return None
        return latest


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
