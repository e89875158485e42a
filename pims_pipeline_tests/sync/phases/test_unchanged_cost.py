"""What it costs to compare a listing with what is landed, in statements and in rows read."""

from typing import Any

import pytest
from sqlalchemy import Engine, event

from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.sync.bench import Bench
from pims_pipeline_tests.sync.phases.test_unchanged import booked, compared_by_store


@pytest.fixture
def statements(engine: Engine) -> list[str]:
    """Every statement sent from here on."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: sent.append(sql))
    return sent


def test_an_unchanged_calendar_takes_one_read_and_one_write_of_its_records(
    bench: Bench, statements: list[str]
) -> None:
    booked(bench)
    bench.inbound()
    seen = "SELECT count(*) FROM pims_appointments WHERE last_seen_at = :at"
    statements.clear()
    outcome = bench.inbound()
    ours = [each for each in statements if "pims_appointments" in each or "cases AS c" in each]
    assert [each.split()[0] for each in ours if "case_sync_audits" not in each] == [
        "SELECT",
        "UPDATE",
    ]
    (audit,) = bench.rows(
        "SELECT fetched_at FROM case_sync_audits WHERE id = :id", id=outcome.audit_id
    )
    assert bench.rows(seen, at=audit.fetched_at) == [(12,)]


def test_a_listing_does_not_read_all_series_of_a_clinic(bench: Bench) -> None:
    booked(bench)
    bench.inbound()
    bench.run(
        "INSERT INTO pims_appointments (clinic_id, provider_type, pims_id, series_id, payload,"
        " business_date, scheduled_start, digest, fetched_at, first_seen_at, last_seen_at,"
        " audit_id)"
        " SELECT clinic_id, provider_type, 's-' || n || '@1', 's-' || n, payload, '2020-01-01',"
        " scheduled_start, '', fetched_at, first_seen_at, last_seen_at, audit_id"
        " FROM pims_appointments, generate_series(1, 5000) AS n WHERE pims_id = '1'"
    )
    bench.run("ANALYZE pims_appointments")
    sent: list[tuple[str, Any]] = []
    event.listen(
        bench.engine,
        "before_cursor_execute",
        lambda _c, _u, sql, values, *_: sent.append((sql, values)),
    )
    assert len(compared_by_store(bench).unchanged) == 12
    ((sql, values),) = (each for each in sent if "landed_in_window" in each[0])
    with transaction(bench.engine) as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {sql}", values).scalars().all()
    assert any("ix_pims_appointments_series" in line for line in plan), plan
