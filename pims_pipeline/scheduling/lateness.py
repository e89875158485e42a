"""When a phase is due next, and whether it is overdue.

A phase of a clinic is overdue when two of its ticks have passed without a completed or held sync,
and the second one's time to run is over (``domain.alerts``). Alerts, the freshness checks in the
Dagster UI and ``pims status`` all use this module.
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
from pims_pipeline.scheduling.cron import Cron, parse_schedule
from pims_pipeline.scheduling.ticks import next_ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """When a phase is due, and whether it is overdue. Times are aware UTC.

    Attributes:
        schedule: Whether the phase runs on schedule.
        next_due: Its next tick; None if it has none.
        due_by: The second tick since it was last completed or held, or since the schedule took
            effect; None if there is none.
        is_late: Whether the phase is overdue; see the module.
    """

    schedule: ScheduleState
    next_due: datetime | None = None
    due_by: datetime | None = None
    is_late: bool = False


def schedule_status(
    schedule: ClinicSchedule, phase: Phase, last_completed_or_held: datetime | None, now: datetime
) -> ScheduleStatus:
    """The schedule status of a phase of an active clinic.

    Args:
        schedule: The clinic's schedule.
        phase: The phase.
        last_completed_or_held: The start of its newest completed or held sync; None if there is
            none.
        now: The present time; all times are aware.
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
        # A wrong clock may have recorded a sync in the future.
        since = max(since, discard_future(last_completed_or_held, now) or since)
    # Ticks are whole minutes.
    due_by = _second_tick(cron, zone, since.replace(second=0, microsecond=0))
    facts = PhaseFacts(
        schedule=ScheduleState.ON, last_completed_or_held=last_completed_or_held, due_by=due_by
    )
    return ScheduleStatus(
        schedule=facts.schedule,
        next_due=_next_tick(cron, zone, now),
        due_by=due_by,
        is_late=is_overdue(facts, now),
    )


@lru_cache(maxsize=10_000)
def _second_tick(cron: Cron, zone: ZoneInfo, since: datetime) -> datetime | None:
    """The second tick after ``since``, cached: clinics are synced together, in the same minutes."""
    return next(iter(next_ticks(cron, zone, since, 2)[1:]), None)


@lru_cache(maxsize=1_000)
def _next_tick(cron: Cron, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The next tick, cached: most clinics share a few schedules, and ``now`` is the same."""
    return next(iter(next_ticks(cron, zone, now, 1)), None)
