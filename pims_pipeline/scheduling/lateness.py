"""When a phase is due next, and whether it is late: the one place where that is decided.

A phase of a clinic is late when two of its ticks have passed without a sync that was completed or
held, and the time has passed too that the second one may take (``domain.alerts``). Alerts, the
freshness checks in the Dagster UI and ``pims status`` all ask here.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from pims_pipeline.domain.alerts import PhaseFacts, ScheduleState, is_overdue
from pims_pipeline.domain.clinics import zone_named
from pims_pipeline.domain.moments import discard_future
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule
from pims_pipeline.scheduling.timetable import Cron, next_ticks, parse_schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """How a phase stands by its schedule. Moments are aware UTC.

    Attributes:
        schedule: Whether the phase runs by itself.
        next_due: Its next tick; None when it has none.
        due_by: The second tick since it was last completed or held, or since the schedule began
            to count; None when there is none.
        is_late: See the module.
    """

    schedule: ScheduleState
    next_due: datetime | None = None
    due_by: datetime | None = None
    is_late: bool = False


def schedule_status(
    schedule: ClinicSchedule, phase: Phase, last_completed_or_held: datetime | None, now: datetime
) -> ScheduleStatus:
    """How a phase of an active clinic stands by its schedule.

    Args:
        schedule: The clinic's.
        phase: Which phase.
        last_completed_or_held: When its newest sync began that was completed or held; None
            when there is none.
        now: The present moment; all moments are aware.
    """
    try:
        cron = parse_schedule(schedule.config.sync_schedules[phase])
        zone = zone_named(schedule.clinic.timezone)
    except ValueError:
        return ScheduleStatus(schedule=ScheduleState.MALFORMED)
    if cron is None:
        return ScheduleStatus(schedule=ScheduleState.OFF)
    since = schedule.evaluated_since(phase, now)
    if last_completed_or_held is not None:
        # A sync that is yet to come, by a clock that went wrong, makes nothing punctual.
        since = max(since, discard_future(last_completed_or_held, now) or since)
    due_by = next(iter(next_ticks(cron, zone, since, 2)[1:]), None)
    facts = PhaseFacts(
        schedule=ScheduleState.ON, last_completed_or_held=last_completed_or_held, due_by=due_by
    )
    return ScheduleStatus(
        schedule=facts.schedule,
        next_due=_next_tick(cron, zone, now),
        due_by=due_by,
        is_late=is_overdue(facts, now),
    )


@lru_cache(maxsize=1_000)
def _next_tick(cron: Cron, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Most clinics share a few schedules, and all are looked at from the same moment."""
    return next(iter(next_ticks(cron, zone, now, 1)), None)
