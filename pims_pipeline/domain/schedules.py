"""When and how widely a clinic is synced, and since when that is in force.

Pure. What a cron expression means, and what is due by it, is decided in
``pims_pipeline.scheduling``; schedules are read and written in ``store/clinics.py`` and
``store/schedules.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.moments import discard_future, is_in_future, no_later_than
from pims_pipeline.domain.phases import PHASES, Phase

DEFAULT_SCHEDULES: Mapping[Phase, str] = MappingProxyType(
    {phase: names.schedule for phase, names in PHASES.items()}
)

OFF = "off"
"""In place of a cron expression: the phase never runs by itself."""

MAX_BATCH = 50
"""The most consultations that are fetched side by side."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """When and how widely a clinic is synced.

    Attributes:
        sync_schedules: By phase a cron expression, read in the clinic's own time zone, or
            ``OFF``. As stored: ``scheduling/cron.py`` checks whether it can be read.
        days_ahead: Business dates after today that a sync covers.
        lookback_days: Business dates before today that reconciliation covers.
        parallel_batch_size: Consultations fetched side by side, at most ``MAX_BATCH``.
    """

    sync_schedules: Mapping[Phase, str] = field(default_factory=lambda: DEFAULT_SCHEDULES)
    days_ahead: int = 7
    lookback_days: int = 7
    parallel_batch_size: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicSchedule:
    """When an active clinic is synced, and since when that holds. All times in UTC.

    Attributes:
        scheduled_since: When the clinic was registered, activated again or moved to another
            time zone.
        changed_at: When each phase's schedule was last changed, where that is known.
        skipped_until: The last tick of each phase that was skipped and counted.
        skipped_in_a_row: Ticks of each phase that were skipped since it last ran by schedule.
        login_stored_at: When the clinic's credentials were stored, if there are any.
    """

    clinic: Clinic
    config: ScheduleConfig
    scheduled_since: datetime
    changed_at: Mapping[Phase, datetime] = field(default_factory=dict)
    skipped_until: Mapping[Phase, datetime] = field(default_factory=dict)
    login_stored_at: datetime | None = None
    skipped_in_a_row: Mapping[Phase, int] = field(default_factory=dict)

    def counts_since(self, phase: Phase, now: datetime) -> datetime:
        """Since when the phase's present schedule is in force; at most ``now``.

        A wrong clock wrote the times that lie after ``now``.
        """
        moments = (self.scheduled_since, self.changed_at.get(phase, self.scheduled_since))
        return max(no_later_than(moment, now) for moment in moments)

    def evaluated_since(self, phase: Phase, now: datetime) -> datetime:
        """Since when the phase could have succeeded by its schedule: a new login starts afresh."""
        since = self.counts_since(phase, now)
        stored = discard_future(self.login_stored_at, now)
        return since if stored is None else max(since, stored)

    def void_until(self, phase: Phase, now: datetime) -> datetime:
        """The time up to which ticks of the phase do not count; at most ``now``."""
        changed = (self.scheduled_since, self.changed_at.get(phase, self.scheduled_since))
        moments = [moment for moment in changed if not is_in_future(moment, now)]
        skipped = self.skipped_until.get(phase)
        # A wrong clock wrote a time after ``now``.
        if skipped is not None and skipped <= now:
            moments.append(skipped)
        return max(moments, default=_NEVER)
