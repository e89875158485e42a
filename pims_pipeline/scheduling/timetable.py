"""Which phases of which clinics are due, by their schedules.

Pure: the schedules and all times are arguments. Reading schedules belongs in
``store/schedules.py``, launching runs in ``orchestration/sensors/scheduled_runs.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule
from pims_pipeline.scheduling.cron import Cron
from pims_pipeline.scheduling.ticks import Timetable, ticks_up_to, timetable

CLOCK_TOLERANCE = timedelta(hours=1)
"""A clock that went back by at most this is expected to catch up; beyond it, it was wrong."""


@dataclass(frozen=True, slots=True)
class DueTick:
    """A due phase of a clinic.

    Attributes:
        tick: When it became due, in UTC.
    """

    schedule: ClinicSchedule
    phase: Phase
    tick: datetime

    @property
    def slug(self) -> str:
        """The clinic's slug."""
        return self.schedule.clinic.slug


@dataclass(frozen=True, slots=True)
class MalformedCron:
    """An invalid schedule; the phase does not run on schedule.

    Attributes:
        why: What is wrong, with the invalid text, shortened.
    """

    clinic: Clinic
    phase: Phase
    why: str


@dataclass(frozen=True, slots=True)
class DueTicks:
    """What is due.

    Attributes:
        due: By phase, then in the order of the schedules.
        malformed: In the same order.
        until: The next decision's ``since``, after these ticks have been handled.
        started_over: Whether the clock went back so far that past ticks were dropped.
    """

    due: list[DueTick]
    malformed: list[MalformedCron]
    until: datetime
    started_over: bool = False


def decide(schedules: Sequence[ClinicSchedule], since: datetime | None, now: datetime) -> DueTicks:
    """Decide which clinics are due for which phases.

    Of each clinic and phase, the latest tick up to ``now`` is due, if it is later than ``since``
    and than everything that makes older ticks void (see ``ClinicSchedule``). Missed ticks before
    it are dropped. The latest tick is dropped too if its age is at least the interval between it
    and the tick before it.

    Args:
        schedules: The schedules of the active clinics.
        since: The time up to which all ticks were handled; None the first time, when no past
            tick is due.
        now: The present time. A little before ``since``, the clock was put back: nothing is due
            until it has caught up. Long before ``since``, the clock was wrong: start from ``now``.
    """
    malformed = malformed_crons(schedules)
    if since is None or now < since - CLOCK_TOLERANCE:
        return DueTicks([], malformed, now, started_over=since is not None)
    if now < since:
        return DueTicks([], malformed, since)
    latest = _LatestTicks(since, now)
    due = [
        DueTick(schedule, phase, tick)
        for phase in Phase
        for schedule in schedules
        if isinstance(read := _read(schedule, phase), Timetable)
        and (tick := latest.of(read)) is not None
        and tick > schedule.void_until(phase, now)
    ]
    return DueTicks(due, malformed, now)


def malformed_crons(schedules: Sequence[ClinicSchedule]) -> list[MalformedCron]:
    """The invalid schedules, by phase, then in the order of ``schedules``."""
    return [
        MalformedCron(schedule.clinic, phase, read)
        for phase in Phase
        for schedule in schedules
        if isinstance(read := _read(schedule, phase), str)
    ]


def _read(schedule: ClinicSchedule, phase: Phase) -> Timetable | str | None:
    """The phase's timetable; None for ``off``; what is wrong with an invalid schedule."""
    try:
        return timetable(schedule.clinic, schedule.config.sync_schedules[phase])
    except ValueError as error:
        return str(error)


class _LatestTicks:
    """The latest due tick of each timetable, computed once."""

    def __init__(self, since: datetime, now: datetime) -> None:
        self._since = since
        self._now = now
        self._known: dict[Timetable, datetime | None] = {}

    def of(self, read: Timetable) -> datetime | None:
        """The latest tick, if it is later than ``since`` and less than one interval old."""
        if read not in self._known:
            self._known[read] = self._found(*read)
        return self._known[read]

    def _found(self, cron: Cron, zone: ZoneInfo) -> datetime | None:
        ticks = ticks_up_to(cron, zone, self._now)
        latest = next(ticks, None)
        if latest is None or latest <= self._since:
            return None
        before = next(ticks, None)
        if before is not None and self._now - latest >= latest - before:
            return None
        return latest
