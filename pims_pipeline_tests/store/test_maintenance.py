"""What expired or is old is deleted, in batches; everything else stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store import maintenance
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.maintenance import (
    clinics_with_unfinished_audits,
    drop_expired_idempotency_keys,
    drop_expired_sessions,
    prune_ended_alerts,
    prune_resolved_failures,
    prune_sync_requests,
)

NOW = datetime(2026, 3, 9, 3, 40, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=1)
AFTER = NOW + timedelta(minutes=1)
MOMENTS = {"now": NOW, "before": BEFORE, "after": AFTER}


def run(engine: Engine, statement: str, **values: object) -> list[object]:
    with transaction(engine) as connection:
        result = connection.execute(text(statement), {**MOMENTS, **values})
        return list(result.scalars()) if result.returns_rows else []


def delete_all(engine: Engine, delete: Callable[[Connection, datetime], int]) -> list[int]:
    """Batches until there is nothing left; gives their sizes."""
    sizes: list[int] = []
    while True:
        with transaction(engine) as connection:
            deleted = delete(connection, NOW)
        if not deleted:
            return sizes
        sizes.append(deleted)


def test_only_sessions_that_ended_are_dropped(engine: Engine, clinic: Clinic) -> None:
    for provider, expires in (("one", BEFORE), ("two", NOW), ("three", AFTER)):
        run(
            engine,
            "INSERT INTO pims_sessions (clinic_id, provider_type, encrypted_data, key_id, "
            "expires_at) VALUES (:clinic, :provider, '', 'k', :expires)",
            clinic=clinic.id,
            provider=provider,
            expires=expires,
        )
    with transaction(engine) as connection:
        assert drop_expired_sessions(connection, NOW) == 2
    assert run(engine, "SELECT provider_type FROM pims_sessions") == ["three"]


@pytest.fixture
def requests(engine: Engine, clinic: Clinic) -> None:
    """An old request and a new one of the API, each with an idempotency key that lives longer."""
    run(
        engine,
        "INSERT INTO clinic_api_keys (clinic_id, name, key_prefix, key_hash) "
        "VALUES (:clinic, 'n', 'abcdefgh', repeat('0', 64))",
        clinic=clinic.id,
    )
    for made, kept in ((BEFORE, BEFORE), (BEFORE, AFTER), (AFTER, AFTER)):
        run(
            engine,
            "WITH request AS (INSERT INTO sync_requests (clinic_id, api_key_id, scope, "
            "window_start, window_end, created_at) SELECT :clinic, id, 'full', '2026-03-01', "
            "'2026-03-02', :made FROM clinic_api_keys RETURNING id) "
            "INSERT INTO idempotency_keys (clinic_id, key, request_hash, sync_id, expires_at) "
            "SELECT :clinic, :name, repeat('0', 64), id, :kept FROM request",
            clinic=clinic.id,
            made=made,
            kept=kept,
            name=f"{made:%H%M}-{kept:%H%M}",
        )


@pytest.mark.usefixtures("requests")
def test_only_idempotency_keys_that_ended_are_dropped(engine: Engine) -> None:
    assert delete_all(engine, drop_expired_idempotency_keys) == [1]
    left = run(engine, "SELECT key FROM idempotency_keys ORDER BY key")
    assert left == [f"{BEFORE:%H%M}-{AFTER:%H%M}", f"{AFTER:%H%M}-{AFTER:%H%M}"]


@pytest.mark.usefixtures("requests")
def test_only_old_requests_are_pruned_and_their_idempotency_keys_with_them(engine: Engine) -> None:
    assert delete_all(engine, prune_sync_requests) == [2]
    assert run(engine, "SELECT created_at FROM sync_requests") == [AFTER]
    assert run(engine, "SELECT key FROM idempotency_keys") == [f"{AFTER:%H%M}-{AFTER:%H%M}"]


def test_failures_are_pruned_once_they_have_been_resolved_for_long(
    engine: Engine, clinic: Clinic
) -> None:
    for name, resolved in (("old", BEFORE), ("new", AFTER), ("open", None)):
        run(
            engine,
            "INSERT INTO sync_failures (clinic_id, provider_type, phase, record_key, error_class, "
            "error_message, first_failed_at, last_failed_at, resolved_at) VALUES (:clinic, 'p', "
            "'cases', :name, 'E', 'm', :before, :before, :resolved)",
            clinic=clinic.id,
            name=name,
            resolved=resolved,
        )
    assert delete_all(engine, prune_resolved_failures) == [1]
    assert run(engine, "SELECT record_key FROM sync_failures ORDER BY 1") == ["new", "open"]


def test_alerts_are_pruned_a_batch_at_a_time_once_they_have_ended_for_long(
    engine: Engine, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)
    ends = {"a": BEFORE, "b": BEFORE, "c": BEFORE, "new": AFTER, "open": None}
    for name, ended in ends.items():
        run(
            engine,
            "INSERT INTO alerts (clinic_id, kind, subject, opened_at, ended_at) "
            "VALUES (:clinic, 'failing', :name, :before, :ended)",
            clinic=clinic.id,
            name=name,
            ended=ended,
        )
    assert delete_all(engine, prune_ended_alerts) == [2, 1]
    assert run(engine, "SELECT subject FROM alerts ORDER BY 1") == ["new", "open"]


def test_clinics_with_unfinished_audits_are_found_also_when_they_are_not_active(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        assert clinics_with_unfinished_audits(connection) == []
    run(
        engine,
        "INSERT INTO case_sync_audits (clinic_id, sync_type, window_start, window_end, run_id, "
        "owner) SELECT id, 'inbound', '2026-03-01', '2026-03-02', 'r', n "
        "FROM clinics, generate_series(1, 2) AS n",
    )
    run(engine, "UPDATE clinics SET is_active = false")
    with transaction(engine) as connection:
        assert clinics_with_unfinished_audits(connection) == [clinic.id]
