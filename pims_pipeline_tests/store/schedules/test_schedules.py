"""Schedules as stored, also after edits by hand, and the count of skipped ticks."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import DEFAULT_SCHEDULES, ClinicSchedule, ScheduleConfig
from pims_pipeline.store.clinics import (
    add_clinic,
    deactivate_clinic,
    schedule_config,
    set_schedule_config,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.schedules import (
    SkippedTick,
    Skips,
    active_schedules,
    record_skips,
    skipped_ticks,
)

TICK = datetime(2026, 3, 9, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def read(engine: Engine) -> list[ClinicSchedule]:
    with transaction(engine) as connection:
        return active_schedules(connection)


def edit(engine: Engine, assignment: str) -> None:
    """As an operator does by hand."""
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE clinic_schedule_configs SET {assignment}"))  # noqa: S608 - a test's own words


def moments(engine: Engine) -> tuple[datetime, dict[Phase, datetime]]:
    (schedule,) = read(engine)
    return schedule.scheduled_since, dict(schedule.changed_at)


def test_active_clinics_are_read_with_their_schedules_by_slug(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        elm = add_clinic(
            connection,
            slug="elm",
            name="Elm",
            timezone="Europe/Oslo",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
        gone = add_clinic(
            connection,
            slug="gone",
            name="Gone",
            timezone="Europe/Oslo",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
        deactivate_clinic(connection, gone.slug)
        config = ScheduleConfig(
            sync_schedules={**DEFAULT_SCHEDULES, Phase.CASES: "off"}, days_ahead=3
        )
        set_schedule_config(connection, elm, config)
        connection.execute(
            text("DELETE FROM clinic_schedule_configs WHERE clinic_id = :id"), {"id": clinic.id}
        )
    found = read(engine)
    assert [(each.clinic, each.config) for each in found] == [
        (elm, config),
        (clinic, ScheduleConfig()),
    ]
    assert set(found[0].changed_at) == set(Phase)
    assert found[1].changed_at == {}


def test_a_changed_cron_is_noted_for_its_phase_alone(engine: Engine, clinic: Clinic) -> None:
    since, before = moments(engine)
    edit(engine, """sync_schedules = sync_schedules || '{"cases": "5 * * * *"}'""")
    unmoved, after = moments(engine)
    assert unmoved == since
    assert after[Phase.CASES] > before[Phase.CASES]
    assert after | {Phase.CASES: before[Phase.CASES]} == before
    edit(engine, "days_ahead = 3")
    assert moments(engine) == (since, after)
    with transaction(engine) as connection:
        assert schedule_config(connection, clinic).days_ahead == 3


@pytest.mark.parametrize(
    ("stored", "crons"),
    [
        ("{}", ["*/15 * * * *", "0 */2 * * *", "0 2 * * *"]),
        ('{"inbound": null, "cases": "off"}', ["off", "off", "0 2 * * *"]),
        ('{"inbound": 15, "cases": ["a"]}', ["15", '["a"]', "0 2 * * *"]),
        ('{"inbond": "* * * * *", "cases": ""}', ["*/15 * * * *", "", "0 2 * * *"]),
    ],
)
def test_schedules_are_handed_on_whatever_was_written_there(
    engine: Engine, clinic: Clinic, stored: str, crons: list[str]
) -> None:
    edit(engine, f"sync_schedules = '{stored}'")
    (schedule,) = read(engine)
    assert list(schedule.config.sync_schedules.items()) == list(zip(Phase, crons, strict=True))
    with transaction(engine) as connection:
        assert schedule_config(connection, clinic) == schedule.config


@pytest.mark.usefixtures("clinic")
def test_numbers_beyond_what_can_be_synced_are_brought_into_range(engine: Engine) -> None:
    edit(engine, "days_ahead = 2000000000, lookback_days = 2000000000, parallel_batch_size = 5000")
    (schedule,) = read(engine)
    config = schedule.config
    assert (config.days_ahead, config.lookback_days, config.parallel_batch_size) == (
        DAYS_AHEAD,
        365,
        50,
    )


@pytest.mark.usefixtures("clinic")
@pytest.mark.parametrize(
    "stored", ["[]", "null", '"yesterday"', '{"inbound": 5}', '{"inbound": "2026-03-09T10:00"}']
)
def test_a_moment_that_cannot_be_read_is_not_known(engine: Engine, stored: str) -> None:
    edit(engine, f"schedules_changed_at = '{stored}'")
    (schedule,) = read(engine)
    assert schedule.changed_at == {}
    now = schedule.scheduled_since + HOUR
    assert schedule.void_until(Phase.INBOUND, now) == schedule.scheduled_since


def test_a_skipped_tick_counts_once_however_often_it_is_recorded(
    engine: Engine, clinic: Clinic
) -> None:
    first = SkippedTick(clinic.id, Phase.INBOUND, TICK)
    with transaction(engine) as connection:
        record_skips(connection, [])
        record_skips(connection, [first, SkippedTick(clinic.id, Phase.CASES, TICK)])
        record_skips(connection, [first])
        record_skips(connection, [first._replace(tick=TICK + HOUR)])
        assert skipped_ticks(connection) == {
            clinic.id: {
                Phase.INBOUND: Skips(2, TICK + HOUR, in_a_row=2),
                Phase.CASES: Skips(1, TICK, in_a_row=1),
            }
        }
    (schedule,) = read(engine)
    assert schedule.skipped_until == {
        Phase.INBOUND: TICK + HOUR,
        Phase.CASES: TICK,
    }


def test_ticks_are_void_up_to_the_latest_reason(engine: Engine, clinic: Clinic) -> None:
    (stored,) = read(engine)
    now = stored.scheduled_since + 4 * HOUR
    with transaction(engine) as connection:
        record_skips(connection, [SkippedTick(clinic.id, Phase.CASES, now - HOUR)])
        record_skips(connection, [SkippedTick(clinic.id, Phase.INBOUND, now + HOUR)])
    (schedule,) = read(engine)
    assert schedule.void_until(Phase.CASES, now) == now - HOUR
    assert schedule.void_until(Phase.INBOUND, now) == stored.changed_at[Phase.INBOUND]
