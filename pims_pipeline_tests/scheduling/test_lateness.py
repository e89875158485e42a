"""When a phase is overdue: two ticks without a completed or held sync."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pims_pipeline.domain.alerts import OVERDUE_GRACE, ScheduleState
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import DEFAULT_SCHEDULES, ClinicSchedule, ScheduleConfig
from pims_pipeline.scheduling.lateness import ScheduleStatus, schedule_status

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PHASE = Phase.INBOUND


def schedule(
    cron: str = "0 * * * *", zone: str = "UTC", changed: datetime = NOON
) -> ClinicSchedule:
    return ClinicSchedule(
        clinic=Clinic(
            id=UUID(int=1),
            slug="alder",
            name="Alder",
            timezone=zone,
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
            is_active=True,
        ),
        config=ScheduleConfig(sync_schedules={**DEFAULT_SCHEDULES, PHASE: cron}),
        scheduled_since=NOON - 99 * HOUR,
        changed_at={PHASE: changed},
    )


def test_a_phase_is_overdue_when_the_second_tick_has_had_its_time() -> None:
    due_by = NOON + 2 * HOUR
    last = due_by + OVERDUE_GRACE
    statuses = [schedule_status(schedule(), PHASE, NOON, at) for at in (last - MINUTE, last)]
    assert [each.is_late for each in statuses] == [False, True]
    assert {each.due_by for each in statuses} == {due_by}
    assert statuses[1].next_due == NOON + 3 * HOUR


def test_a_success_moves_the_due_tick_and_a_tick_at_its_start_belongs_to_it() -> None:
    status = schedule_status(schedule(), PHASE, NOON + 5 * HOUR, NOON + 5 * HOUR)
    assert status.due_by == NOON + 7 * HOUR


def test_a_phase_that_never_succeeded_is_overdue_from_the_start_of_its_schedule() -> None:
    at = NOON + 3 * HOUR
    assert schedule_status(schedule(), PHASE, None, at).is_late
    assert not schedule_status(schedule(changed=at), PHASE, NOON - 50 * HOUR, at).is_late


@pytest.mark.parametrize(
    ("odd", "state"),
    [
        (schedule("off"), ScheduleState.OFF),
        (schedule("soon"), ScheduleState.MALFORMED),
        (schedule(zone="Nowhere/Land"), ScheduleState.MALFORMED),
    ],
)
def test_without_a_timetable_nothing_is_due_or_late(
    odd: ClinicSchedule, state: ScheduleState
) -> None:
    assert schedule_status(odd, PHASE, None, NOON + 99 * HOUR) == ScheduleStatus(schedule=state)
