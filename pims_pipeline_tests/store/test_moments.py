"""Future times that a wrong clock wrote, in every table: found and rewritten, or kept."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import DateTime, Engine, select, text, update

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.moments import FUTURE_TOLERANCE
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.moments import in_future, repair_moments
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.store.tenant_rows import add_tenant

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
AHEAD = NOW + timedelta(days=400)
WEEK = DateRange(date(2026, 3, 1), date(2026, 3, 7))
MAY_BE_AHEAD = {
    "pims_appointments.scheduled_start": "appointments are made for days to come",
    "cases.scheduled_start": "as above",
    "cases.scheduled_end": "as above",
    "clinic_api_keys.expires_at": "keys are made to last",
    "pims_sessions.expires_at": "the vendor says how long they last",
    "operator_sign_ins.expires_at": "sign-ins last for a while, by the database's clock",
    "alerts.claimed_until": "a claim lasts for a while, by the database's clock",
    "webhooks.retry_at": "messages are retried later, by the database's clock",
    "webhook_deliveries.due_at": "as above",
    "webhook_deliveries.claimed_until": "as above",
    "run_leases.renewed_at": "written and compared by the database's clock alone",
    "run_leases.expires_at": "as above",
    "login_leases.renewed_at": "as above",
    "login_leases.expires_at": "as above",
}
LEFT = {
    "case_events.occurred_at": "a log is never changed, and its order is its numbers'",
    "credential_access_log.accessed_at": "as above",
    "clinic_api_keys.created_at": "shown alone, by the database's clock",
    "clinic_api_keys.last_used_at": "as above",
    "pims_credentials.created_at": "as above",
    "case_sync_audits.changed_since": "shown alone",
    "pims_credentials.updated_at": "if it is later than a listing, the calendar is listed again",
    "pims_sessions.created_at": "as above",
    "pims_sessions.last_used_at": "shown alone, by the database's clock",
    "adoptions.adopted_at": "shown alone, by the database's clock",
    "adoptions.mode_changed_at": "as above",
    "adoptions.last_diff_at": "as above",
    "adopted_cases.linked_at": "as above",
    "adoption_diffs.compared_at": "as above",
    "webhooks.failing_since": "written and compared by the database's clock alone",
    "webhooks.delivered_at": "as above",
    "webhooks.disabled_at": "as above",
    "webhooks.created_at": "as above",
    "webhook_deliveries.failed_since": "as above",
    "operators.created_at": "as above",
    "operators.updated_at": "as above",
    "operator_sign_ins.created_at": "as above",
    "operator_sign_ins.last_used_at": "as above",
    "sign_in_attempts.began_at": "as above",
    "operator_log.occurred_at": "as below",
    "clinic_words.changed_at": "as below",
    "application_writes.occurred_at": "as below",
    "adoption_steps.occurred_at": "a log is never changed, and its order is its numbers'",
    "sync_failures.next_retry_at": "due in the future; counted from its failure, see below",
}
LOGS = {
    "case_events",
    "credential_access_log",
    "adoption_steps",
    "application_writes",
    "clinic_words",
    "operator_log",
}
NOT_OF_A_CLINIC = {"operators", "operator_sign_ins", "sign_in_attempts"}


def moments(table: str) -> list[str]:
    """The table's columns whose times may not lie in the future."""
    columns = metadata.tables[table].columns
    return [
        each.name
        for each in columns
        if isinstance(each.type, DateTime) and f"{table}.{each.name}" not in MAY_BE_AHEAD
    ]


def put_ahead(engine: Engine) -> UUID:
    """A clinic whose times that may not lie in the future all do."""
    with transaction(engine) as connection:
        rows = add_tenant(connection, "riverbend")
        clinic_id: UUID = rows["clinics"]["id"]
        for name, table in metadata.tables.items():
            if name not in LOGS | NOT_OF_A_CLINIC and (columns := moments(name)):
                key = table.c.id if name == "clinics" else table.c.clinic_id
                ahead = dict.fromkeys(columns, AHEAD)
                connection.execute(update(table).where(key == clinic_id).values(ahead))
    return clinic_id


def rows_of(engine: Engine, table: str) -> list[Any]:
    with transaction(engine) as connection:
        return list(connection.execute(select(metadata.tables[table])).all())


def still_ahead(engine: Engine, now: datetime = NOW) -> set[str]:
    return {
        f"{name}.{column}"
        for name in metadata.tables
        for column in moments(name)
        for row in rows_of(engine, name)
        if (moment := getattr(row, column)) is not None and moment > now + FUTURE_TOLERANCE
    }


def test_every_moment_of_every_table_is_repaired_or_said_to_be_left(engine: Engine) -> None:
    clinic_id = put_ahead(engine)
    with transaction(engine) as connection:
        repaired = repair_moments(connection, clinic_id, NOW)
    assert still_ahead(engine) <= LEFT.keys()
    assert set(repaired) == {
        "pims_appointments", "cases", "sync_failures", "reconciliation_holds", "alerts",
        "sync_requests", "schedule_skips", "clinic_schedule_configs", "idempotency_keys",
        "clinics", "case_sync_audits", "schedules", "vendor_shapes",
    }  # fmt: skip
    with transaction(engine) as connection:
        assert repair_moments(connection, clinic_id, NOW) == {}


def test_moments_of_the_past_and_other_clinics_are_left_alone(engine: Engine) -> None:
    clinic_id = put_ahead(engine)
    with transaction(engine) as connection:
        other = add_tenant(connection, "oak")["clinics"]["id"]
    before = {name: rows_of(engine, name) for name in metadata.tables}
    with transaction(engine) as connection:
        # As of a time after all of them, nothing is in the future.
        assert repair_moments(connection, clinic_id, AHEAD) == {}
        assert repair_moments(connection, other, AHEAD) == {}
    assert {name: rows_of(engine, name) for name in metadata.tables} == before


def test_what_was_asked_at_a_wrong_moment_is_asked_again(engine: Engine) -> None:
    clinic_id = put_ahead(engine)
    with transaction(engine) as connection:
        repair_moments(connection, clinic_id, NOW)
    (landed,) = rows_of(engine, "pims_appointments")
    assert (landed.last_seen_at, landed.fetched_at, landed.removed_at) == (NOW, NOW, NOW)
    assert landed.consultation_checked_at is None


@pytest.mark.parametrize("retry", [AHEAD + timedelta(minutes=5), None])
def test_a_retry_that_counts_from_a_wrong_moment_is_due_and_a_dead_one_stays_dead(
    engine: Engine, retry: datetime | None
) -> None:
    clinic_id = put_ahead(engine)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE sync_failures SET next_retry_at = :at"), {"at": retry})
        repair_moments(connection, clinic_id, NOW)
    (failure,) = rows_of(engine, "sync_failures")
    assert (failure.last_failed_at, failure.next_retry_at) == (NOW, NOW if retry else None)


def test_a_retry_of_a_right_moment_keeps_its_time(engine: Engine) -> None:
    with transaction(engine) as connection:
        clinic_id = add_tenant(connection, "riverbend")["clinics"]["id"]
        later = NOW + timedelta(hours=16)
        connection.execute(text("UPDATE sync_failures SET next_retry_at = :at"), {"at": later})
        repair_moments(connection, clinic_id, NOW)
    (failure,) = rows_of(engine, "sync_failures")
    assert failure.next_retry_at == later


def test_audits_of_a_wrong_clock_keep_their_order_and_durations(engine: Engine) -> None:
    with transaction(engine) as connection:
        clinic_id = add_tenant(connection, "riverbend")["clinics"]["id"]
        past = NOW - timedelta(days=1)
        connection.execute(
            text("UPDATE case_sync_audits SET created_at = :past, updated_at = :past"),
            {"past": past},
        )
        for number, day in enumerate((400, 399, 900)):
            began = NOW + timedelta(days=day)
            connection.execute(
                text(
                    "INSERT INTO case_sync_audits (clinic_id, sync_type, window_start, window_end, "
                    "run_id, owner, created_at, updated_at, duration_ms, fetched_at) VALUES "
                    "(:clinic_id, 'inbound', '2026-03-01', '2026-03-07', :run, 1, :began, "
                    ":ended, 2000, :began)"
                ),
                {
                    "clinic_id": clinic_id,
                    "run": str(number),
                    "began": began,
                    "ended": began + timedelta(seconds=2),
                },
            )
        repair_moments(connection, clinic_id, NOW)
    audits = sorted(rows_of(engine, "case_sync_audits"), key=lambda each: each.created_at)
    assert audits.pop(0).updated_at == past
    assert [each.run_id for each in audits] == ["1", "0", "2"]
    assert {each.updated_at - each.created_at for each in audits} == {timedelta(seconds=2)}
    assert all(each.updated_at < NOW and each.fetched_at is None for each in audits)


@pytest.mark.parametrize("stored", ["[]", "null", '"2027"', '{"inbound": 5, "cases": "soon"}'])
def test_a_schedule_note_that_is_no_moment_is_left_alone(engine: Engine, stored: str) -> None:
    clinic_id = put_ahead(engine)
    read = text("SELECT schedules_changed_at FROM clinic_schedule_configs")
    with transaction(engine) as connection:
        note = text("UPDATE clinic_schedule_configs SET schedules_changed_at = CAST(:n AS jsonb)")
        connection.execute(note, {"n": stored})
        before = connection.execute(read).scalar()
        repair_moments(connection, clinic_id, NOW)
        # The table's trigger adds nothing, which turns what is no object into a list.
        assert str(before).strip("[]{}, ") in str(connection.execute(read).scalar())


def test_a_schedule_changed_in_the_future_counts_from_the_repair(engine: Engine) -> None:
    clinic_id = put_ahead(engine)
    with transaction(engine) as connection:
        note = text(
            "UPDATE clinic_schedule_configs SET schedules_changed_at = jsonb_build_object("
            "'inbound', CAST(:ahead AS timestamptz), 'cases', CAST(:past AS timestamptz))"
        )
        connection.execute(note, {"ahead": AHEAD, "past": NOW - timedelta(days=1)})
        repair_moments(connection, clinic_id, NOW)
        row = connection.execute(
            text(
                "SELECT CAST(schedules_changed_at ->> 'inbound' AS timestamptz) AS inbound, "
                "CAST(schedules_changed_at ->> 'cases' AS timestamptz) AS cases "
                "FROM clinic_schedule_configs"
            )
        ).one()
    assert (row.inbound, row.cases) == (NOW, NOW - timedelta(days=1))


@pytest.mark.parametrize(
    "column", ["last_seen_at", "missing_since", "removed_at", "consultation_checked_at"]
)
def test_one_record_of_the_window_is_enough_to_notice(
    engine: Engine, clinic: Clinic, column: str
) -> None:
    with transaction(engine) as connection:
        clinic_id = add_tenant(connection, "riverbend")["clinics"]["id"]
        riverbend = Clinic(
            id=clinic_id,
            slug="riverbend",
            name="",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
            is_active=True,
        )
        connection.execute(
            text("UPDATE case_sync_audits SET created_at = :now, updated_at = :now"), {"now": NOW}
        )
        assert not in_future(connection, riverbend, WEEK, NOW)
        connection.execute(text(f"UPDATE pims_appointments SET {column} = :at"), {"at": AHEAD})  # noqa: S608 - fixed names
        assert in_future(connection, riverbend, WEEK, NOW)
        assert not in_future(connection, clinic, WEEK, NOW)
