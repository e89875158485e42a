"""Engines, transactions, locks, and Dagster's schema beside ours."""

import json
import select
import socket
import threading
import traceback
from pathlib import Path
from uuid import UUID

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.addresses.parsing import BadDatabaseUrl
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.locks import lock_clinic

CLINIC_A = UUID("00000001-0000-4000-8000-000000000000")
CLINIC_B = UUID("f0000002-0000-4000-8000-000000000000")


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgres_url_is_spoken_to_with_psycopg_3(
    database_url: str, scheme: str
) -> None:
    engine = create_engine(database_url.replace("postgresql", scheme, 1))
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert connection.scalar(text("SHOW application_name")) == "pims_pipeline"
    engine.dispose()
    assert engine.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["mysql://root:hunter2@db/pims", "hunter2", "", "postgresql://x:hunter2@host:port/db"]
)
def test_a_url_of_anything_else_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadDatabaseUrl) as caught:
        create_engine(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_an_unreachable_database_is_one_clear_line_without_its_password() -> None:
    port = _closed_port()
    engine = create_engine(f"postgresql://vet:hunter2@127.0.0.1:{port}/pims")
    with pytest.raises(DatabaseUnavailable) as caught, transaction(engine):
        pass
    message = str(caught.value)
    assert message.startswith(f"cannot reach database 'pims' at 127.0.0.1:{port} (")
    assert "PIMS_DATABASE_URL" in message
    assert "\n" not in message
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_database_that_does_not_exist_is_unavailable(server_url: str) -> None:
    missing = make_url(server_url).set(database="nowhere").render_as_string(hide_password=False)
    with (
        pytest.raises(DatabaseUnavailable, match="nowhere"),
        transaction(create_engine(missing)),
    ):
        pass


def test_a_database_that_goes_away_in_a_transaction_is_unavailable(
    engine: Engine, server_url: str
) -> None:
    other = create_engine(server_url)

    def lose_the_connection() -> None:
        with transaction(engine) as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            with transaction(other) as killer:
                killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        lose_the_connection()
    other.dispose()
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def lose_idle_connection(engine: Engine, server_url: str) -> None:
    """Have the server end the one connection that lies in the engine's pool."""
    with transaction(engine) as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    other = create_engine(server_url)
    with transaction(other) as killer:
        killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
    other.dispose()


@pytest.mark.parametrize("trusted_seconds", [0, 1e-9, 3600])
def test_a_connection_that_the_server_closed_is_replaced_before_its_use(
    database_url: str, server_url: str, trusted_seconds: float
) -> None:
    engine = create_engine(database_url, trusted_seconds=trusted_seconds)
    lose_idle_connection(engine, server_url)

    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


class NothingArrived:
    """Waits for input, as where a network has lost what the server sent."""

    def register(self, *_: object) -> None:
        """Accept any descriptor."""

    def poll(self, _timeout: float) -> list[object]:
        return []


def test_a_trusted_connection_that_was_lost_without_a_sign_fails_once(
    database_url: str, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(database_url, trusted_seconds=3600)
    lose_idle_connection(engine, server_url)

    monkeypatch.setattr(select, "poll", NothingArrived)
    with pytest.raises(DatabaseUnavailable), transaction(engine) as connection:
        connection.execute(text("SELECT 1"))
    with transaction(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_waiting_for_a_connection_comes_to_an_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(database_url, pool_size=1)
    monkeypatch.setattr(engine.pool, "_timeout", 0)

    with (
        transaction(engine),
        pytest.raises(DatabaseUnavailable, match=r"no connection to database .* became free"),
        transaction(engine),
    ):
        pass
    engine.dispose()


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    def fail_half_way() -> None:
        with transaction(engine) as connection:
            connection.execute(text("CREATE TABLE half_done (id int)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('half_done')")) is None


@pytest.mark.parametrize(
    "statement",
    [
        # A row that breaks a rule: the server's DETAIL quotes it whole.
        (
            "INSERT INTO cases (clinic_id, patient_name, client_name, scheduled_date, status)"
            " VALUES (:clinic, 'Rex Personal', 'Ann Private', '2026-03-02', 'nonsense')"
        ),
        # A row that collides: DETAIL quotes the key.
        (
            "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url)"
            " SELECT 'personal', 'Rex Personal', 'UTC', 'idexx_neo', 'y' FROM generate_series(1, 2)"
        ),
        # A value of another type: the very message quotes it.
        "SELECT CAST(:clinic ||'Rex Personal' AS int)",
    ],
)
def test_what_the_server_says_of_a_failing_row_reaches_no_message(
    engine: Engine, clinic: Clinic, statement: str
) -> None:
    with pytest.raises(DBAPIError) as caught, transaction(engine) as connection:
        connection.execute(text(statement), {"clinic": str(clinic.id)})
    message = "".join(traceback.format_exception(caught.value)).split("[SQL:")[0]
    assert "Personal" not in message
    assert "(personal)" not in str(caught.value)
    assert str(clinic.id) not in str(caught.value)


def test_a_unique_violation_still_names_its_constraint(engine: Engine, clinic: Clinic) -> None:
    with pytest.raises(DBAPIError, match="uq_clinics_slug"), transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url)"
                " VALUES (:slug, 'n', 'UTC', 'idexx_neo', 'y')"
            ),
            {"slug": clinic.slug},
        )


def test_a_clinics_lock_makes_the_second_wait_until_the_first_is_done(engine: Engine) -> None:
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        with transaction(engine) as connection:
            connection.execute(text("SELECT 1"))
            begun.set()
            lock_clinic(connection, CLINIC_A)
            order.append("second")

    thread = threading.Thread(target=second)
    with transaction(engine) as connection:
        lock_clinic(connection, CLINIC_A)
        thread.start()
        begun.wait(timeout=30)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]


def test_clinics_do_not_wait_for_each_other(engine: Engine) -> None:
    with transaction(engine) as first, transaction(engine) as second:
        second.execute(text("SET LOCAL lock_timeout = '5s'"))
        lock_clinic(first, CLINIC_A)
        lock_clinic(second, CLINIC_B)


def test_nothing_is_left_in_a_session_that_a_pooler_would_hand_to_others(engine: Engine) -> None:
    with transaction(engine) as connection:
        lock_clinic(connection, CLINIC_A)
        for _ in range(12):
            connection.execute(text("SELECT :n"), {"n": 1})
    with transaction(engine) as connection:
        # The view shows the whole server, which other tests share.
        held = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert connection.scalar(held) == 0
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_dagsters_url_keeps_what_the_given_one_says() -> None:
    given = "postgres://vet:p%40ss@db.example:6543/pims?sslmode=require&options=-cjit%3Doff"
    url = make_url(dagster_storage_url(given))
    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "vet",
        "p@ss",
        "db.example",
        6543,
        "pims",
    )
    assert url.query["sslmode"] == "require"
    assert url.query["options"] == "-cjit=off -csearch_path=dagster"


def test_dagster_keeps_its_tables_in_a_schema_of_their_own(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    ensure_dagster_schema(engine)
    ensure_dagster_schema(engine)
    url = dagster_storage_url(database_url)
    config = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
    # JSON is YAML too.
    (tmp_path / "dagster.yaml").write_text(json.dumps(config))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("clinic", ["maple-street"])
        assert instance.get_dynamic_partitions("clinic") == ["maple-street"]
    with engine.connect() as connection:
        tables = connection.execute(
            text("SELECT schemaname, tablename FROM pg_tables WHERE tablename = ANY(:names)"),
            {"names": ["event_logs", "runs", "job_ticks", "alembic_version", "cases"]},
        )
        assert {tuple(row) for row in tables} == {
            ("dagster", "event_logs"),
            ("dagster", "runs"),
            ("dagster", "job_ticks"),
            ("dagster", "alembic_version"),
            ("pims", "cases"),
            ("public", "cases"),
        }
