"""A wait for another session's lock ends, and says what is locked and by whom."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.locks import LockTimeout, lock_clinic
from pims_pipeline.store.database.migrate import migrate


@pytest.fixture
def hasty(database_url: str) -> Iterator[Engine]:
    """An engine that waits for no lock longer than a tenth of a second."""
    engine = create_engine(database_url, lock_seconds=0.1)
    yield engine
    engine.dispose()


@contextmanager
def held(database_url: str, statement: str) -> Iterator[int]:
    """Another transaction that did ``statement`` and stays open; yields its session's pid."""
    with psycopg.connect(database_url, application_name="front desk") as somebody:
        somebody.execute(statement)
        yield somebody.info.backend_pid
        somebody.rollback()


def test_the_limit_is_set_in_every_transaction_and_ends_with_it(hasty: Engine) -> None:
    with transaction(hasty) as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "100ms"
    with transaction(hasty, lock_seconds=2.5) as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "2500ms"
    with hasty.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "0"


def test_the_default_limit_is_ten_seconds(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "10s"


_ADD = (
    "INSERT INTO clinics (slug, name, timezone, provider_type, provider_base_url) "
    "VALUES ('new', '{}', 'UTC', 'idexx_neo', 'y')"
)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("UPDATE clinics SET name = 'Personal'", "UPDATE clinics SET name = 'Ours'"),
        ("UPDATE clinics SET name = 'Personal'", "SELECT 1 FROM clinics FOR UPDATE"),
        ("LOCK TABLE clinics", "SELECT 1 FROM clinics"),
        (_ADD.format("Personal"), _ADD.format("Ours")),
    ],
)
def test_a_lock_timeout_names_the_table_and_the_session(
    hasty: Engine, clinic: Clinic, database_url: str, theirs: str, ours: str
) -> None:
    with (
        held(database_url, theirs) as pid,
        pytest.raises(LockTimeout) as caught,
        transaction(hasty) as connection,
    ):
        connection.execute(text(ours))
    said = str(caught.value)
    if not theirs.startswith("LOCK"):  # the server does not name a table that is locked whole
        assert "table clinics is locked by session" in said
        assert f"session {pid} (front desk)" in said
        assert f"SELECT pg_terminate_backend({pid})" in said
    assert "0.1 seconds" in said
    assert "PIMS_LOCK_TIMEOUT_SECONDS" in said
    assert "Personal" not in said
    assert clinic.name not in said


def test_a_clinics_lock_is_called_so(hasty: Engine, engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as other:
        lock_clinic(other, clinic.id)
        pid = other.scalar(text("SELECT pg_backend_pid()"))
        with (
            pytest.raises(LockTimeout, match=rf"writing to this clinic is locked by session {pid}"),
            transaction(hasty) as connection,
        ):
            lock_clinic(connection, clinic.id)


def test_after_such_an_error_the_connection_is_as_good_as_new(
    hasty: Engine, clinic: Clinic, database_url: str
) -> None:
    with (
        held(database_url, "UPDATE clinics SET name = 'Personal'"),
        pytest.raises(LockTimeout),
        transaction(hasty) as connection,
    ):
        connection.execute(text("UPDATE clinics SET name = 'Ours'"))
    with transaction(hasty) as connection:
        assert connection.scalar(text("SELECT name FROM clinics")) == clinic.name


def test_migrating_waits_longer_for_another_that_migrates(hasty: Engine) -> None:
    assert migrate(hasty) == []
