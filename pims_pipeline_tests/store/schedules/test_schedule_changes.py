"""The database notes since when a clinic's schedules count, also after edits by hand."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import deactivate_clinic, readdress_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.tables.clinics import clinic_schedule_configs, clinics

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CRONS = {"inbound": "*/5 * * * *", "cases": "0 * * * *", "reconciliation": "0 3 * * *"}

pytestmark = pytest.mark.usefixtures("clinic")


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction, the one clinic's schedules counting since long ago."""
    with transaction(engine) as connection:
        connection.execute(update(clinics).values(scheduled_since=LONG_AGO))
        connection.execute(update(clinic_schedule_configs).values(sync_schedules=CRONS))
        long_ago = dict.fromkeys(CRONS, LONG_AGO.isoformat())
        connection.execute(update(clinic_schedule_configs).values(schedules_changed_at=long_ago))
        yield connection


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """Roll back what the block does."""
    with connection.begin_nested() as savepoint:
        yield
        savepoint.rollback()


def _noted(connection: Connection) -> dict[str, datetime]:
    """When each cron expression was last changed."""
    noted = connection.scalars(select(clinic_schedule_configs.c.schedules_changed_at)).one()
    return {phase: datetime.fromisoformat(moment) for phase, moment in noted.items()}


def _changed_by(connection: Connection, schedules: Mapping[str, str | None]) -> set[str]:
    """The phases that count again once the schedules are these."""
    with _undone(connection):
        connection.execute(update(clinic_schedule_configs).values(sync_schedules=schedules))
        noted = _noted(connection)
    assert set(noted) >= set(CRONS)
    return {phase for phase, moment in noted.items() if moment != LONG_AGO}


def _counts_from_now(connection: Connection, edit: Callable[[], object]) -> bool:
    with _undone(connection):
        edit()
        since: datetime = connection.scalars(select(clinics.c.scheduled_since)).one()
    return since != LONG_AGO


def test_a_new_clinics_schedules_count_from_its_making(engine: Engine) -> None:
    with engine.connect() as connection:
        assert set(_noted(connection)) == set(CRONS)
        made = connection.scalars(select(clinics.c.created_at)).one()
        assert connection.scalars(select(clinics.c.scheduled_since)).one() == made


def test_an_edited_cron_counts_from_now_and_the_others_as_before(connection: Connection) -> None:
    without_cases = {phase: cron for phase, cron in CRONS.items() if phase != "cases"}
    assert _changed_by(connection, CRONS) == set()
    assert _changed_by(connection, {**CRONS, "cases": "30 * * * *"}) == {"cases"}
    assert _changed_by(connection, dict.fromkeys(CRONS, "* * * * *")) == set(CRONS)
    assert _changed_by(connection, {**CRONS, "surprise": "0 0 * * *"}) == {"surprise"}
    assert _changed_by(connection, {**CRONS, "cases": None}) == {"cases"}
    assert _changed_by(connection, without_cases) == {"cases"}
    assert _changed_by(connection, {}) == set(CRONS)


def test_an_edit_counts_from_the_clocks_time_whatever_the_sessions_zone_and_style(
    connection: Connection,
) -> None:
    clock = select(func.clock_timestamp())
    before = connection.scalars(clock).one()
    connection.execute(text("SET LOCAL timezone = 'Asia/Kathmandu'"))
    connection.execute(text("SET LOCAL datestyle = 'German'"))
    edited = {**CRONS, "cases": "* * * * *"}
    connection.execute(update(clinic_schedule_configs).values(sync_schedules=edited))
    connection.execute(update(clinics).values(timezone="Europe/Madrid"))
    connection.execute(text("SET LOCAL datestyle = 'ISO'"))
    after = connection.scalars(clock).one()
    assert before <= _noted(connection)["cases"] <= after
    assert before <= connection.scalars(select(clinics.c.scheduled_since)).one() <= after


def test_settings_beside_the_crons_change_no_tick(connection: Connection) -> None:
    connection.execute(update(clinic_schedule_configs).values(days_ahead=30))
    assert set(_noted(connection).values()) == {LONG_AGO}


@pytest.mark.parametrize("schedules", [[], "* * * * *"])
def test_schedules_that_are_no_object_are_refused(engine: Engine, schedules: object) -> None:
    with (
        pytest.raises(DBAPIError, match="ck_clinic_schedule_configs_sync_schedules"),
        transaction(engine) as connection,
    ):
        connection.execute(update(clinic_schedule_configs).values(sync_schedules=schedules))


def test_a_clinics_schedules_count_from_now_with_another_zone_or_when_it_is_activated(
    connection: Connection, clinic: Clinic
) -> None:
    def written(**values: object) -> bool:
        return _counts_from_now(
            connection, lambda: connection.execute(update(clinics).values(values))
        )

    def reactivated() -> None:
        deactivate_clinic(connection, clinic.slug)
        readdress_clinic(connection, clinic.slug, "https://elsewhere.example")

    assert written(timezone="Europe/Madrid")
    assert not written(timezone=clinic.timezone)
    assert not written(name="Another")
    assert not written(is_active=True)
    assert not written(is_active=False)
    assert _counts_from_now(connection, reactivated)
