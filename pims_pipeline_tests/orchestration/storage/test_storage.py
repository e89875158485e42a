"""Dagster's storage opens few connections, replaces dead ones, and shares none with a fork."""

import os
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import stamina
from dagster import DagsterInstance
from dagster_postgres import PostgresRunStorage
from sqlalchemy import Connection, Engine, event, make_url, text

from pims_pipeline.orchestration.storage import pooled
from pims_pipeline.orchestration.storage.event_log import REMEMBERED_SECONDS, EventLog
from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.store.dagster.connections import (
    KeepingTerms,
    WrongDagsterSchema,
    address_without_schema,
    check_storage,
    keeping_engine,
)
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.dagster.sessions import SharedSessions
from pims_pipeline.store.database.engine import CONNECTION_WAITS, create_engine, transaction
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days
from pims_pipeline_tests.pgbouncer import pgbouncer

_END_DAGSTERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND datname = current_database() AND query LIKE '%runs%'"
)


@contextmanager
def opened_by_dagster() -> Iterator[list[object]]:
    """Records the connections that are opened with Dagster's driver."""
    opened: list[object] = []

    def note(connection: object, _record: object) -> None:
        if type(connection).__module__.startswith("psycopg2"):
            opened.append(connection)

    event.listen(Engine, "connect", note)
    try:
        yield opened
    finally:
        event.remove(Engine, "connect", note)


@contextmanager
def dagster_statements() -> Iterator[list[tuple[str, str]]]:
    """Records the statements that Dagster's driver sends, with their parameters."""
    sent: list[tuple[str, str]] = []

    def note(connection: Connection, _cursor: object, sql: str, values: object, *_: object) -> None:
        if connection.dialect.driver == "psycopg2":
            sent.append((sql, repr(values)))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_run_over_many_partitions_keeps_to_a_few_connections(
    deployment: DagsterDeployment, postgres_instance: DagsterInstance
) -> None:
    deployment = replace(deployment, instance=postgres_instance)
    deployment.book("alder", days(-7, 7))
    with opened_by_dagster() as opened:
        assert deployment.sync("full_sync", ["alder"], days(-7, 7)).success
    assert len(opened) <= 4


def test_a_run_repeats_no_lookup_of_tables_columns_and_clinics(
    deployment: DagsterDeployment, postgres_instance: DagsterInstance
) -> None:
    deployment = replace(deployment, instance=postgres_instance)
    deployment.book("alder", days(-7, 7))
    with dagster_statements() as statements:
        assert deployment.sync("full_sync", ["alder"], days(-7, 7)).success
    lookups = Counter(each for each in statements if "pg_catalog" in each[0])
    assert lookups
    assert max(lookups.values()) <= 2
    assert sum("FROM dynamic_partitions" in statement for statement, _ in statements) <= 6


def test_a_partition_that_another_process_deleted_is_forgotten_soon(
    engine: Engine, database_url: str
) -> None:
    now = 0.0
    ensure_dagster_schema(engine)
    url = dagster_storage_url(database_url)
    other = PooledPostgresStorage(url).event_log_storage
    ours = EventLog(url, clock=lambda: now)
    other.add_dynamic_partitions("clinics", ["alder", "birch"])
    assert ours.has_dynamic_partition("clinics", "alder")
    assert ours.has_dynamic_partition("clinics", "birch")
    assert not ours.has_dynamic_partition("clinics", "cedar")

    ours.delete_dynamic_partition("clinics", "birch")
    other.delete_dynamic_partition("clinics", "alder")
    other.add_dynamic_partitions("clinics", ["cedar"])
    assert not ours.has_dynamic_partition("clinics", "birch")
    assert ours.has_dynamic_partition("clinics", "cedar")

    now += REMEMBERED_SECONDS
    assert not ours.has_dynamic_partition("clinics", "alder")


def test_a_connection_that_the_server_closed_is_replaced_before_it_is_used(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    always = partial(keeping_engine, terms=KeepingTerms(trusted_seconds=0.0))
    monkeypatch.setattr(pooled, "keeping_engine", always)
    ensure_dagster_schema(engine)
    runs = PooledPostgresStorage(dagster_storage_url(database_url)).run_storage
    assert runs.get_runs_count() == 0
    with transaction(engine) as connection:
        assert True in connection.scalars(_END_DAGSTERS).all()
    assert runs.get_runs_count() == 0


def test_the_instances_of_a_process_share_a_connection(engine: Engine, database_url: str) -> None:
    ensure_dagster_schema(engine)
    url = dagster_storage_url(database_url)
    with opened_by_dagster() as opened:
        storages = [PooledPostgresStorage(url) for _ in range(3)]
        assert [each.run_storage.get_runs_count() for each in storages] == [0, 0, 0]
    assert len(opened) == 1


def _tables(url: str) -> dict[str, int]:
    """How many tables each schema has that could have some."""
    engine = create_engine(url, pool_size=1)
    with transaction(engine) as connection:
        rows = connection.execute(_TABLES_BY_SCHEMA).all()
    engine.dispose()
    return {row.schemaname: row.tables for row in rows}


_TABLES_BY_SCHEMA = text(
    "SELECT schemaname, count(*) AS tables FROM pg_tables "
    "WHERE schemaname IN ('public', 'dagster') GROUP BY 1"
)


def test_no_tables_are_created_without_the_schema_that_the_address_names(
    empty_database_url: str,
) -> None:
    with pytest.raises(WrongDagsterSchema, match="there is no schema 'dagster' for Dagster's tab"):
        PooledPostgresStorage(dagster_storage_url(empty_database_url))
    assert _tables(empty_database_url) == {}


def _make_schema(url: str) -> None:
    owner = create_engine(url, pool_size=1)
    ensure_dagster_schema(owner)
    owner.dispose()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("ignored", ["extra_float_digits", "options"])
def test_a_pooler_in_transaction_mode_is_refused_before_a_table_is_created(
    empty_database_url: str, size: int, ignored: str
) -> None:
    _make_schema(empty_database_url)
    with pgbouncer(empty_database_url, size=size, ignored=ignored) as pooled_url:
        for _ in range(2):
            with pytest.raises(SharedSessions, match="session mode"):
                PooledPostgresStorage(dagster_storage_url(pooled_url))
        left = create_engine(pooled_url, pool_size=1)
        with left.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            assert connection.scalar(text("SHOW search_path")) == '"$user", public'
        left.dispose()
    assert _tables(empty_database_url) == {}


def test_a_storage_that_cannot_be_reached_is_one_line_with_its_variable() -> None:
    url = dagster_storage_url("postgresql://vet:hunter2@127.0.0.1:1/pims")
    for check in (PooledPostgresStorage, check_storage):
        with stamina.set_testing(True, attempts=2), pytest.raises(DatabaseUnavailable) as caught:
            check(url)
        message = str(caught.value)
        assert message.startswith("cannot reach database 'pims' at 127.0.0.1:1 (")
        assert "or correct DAGSTER_POSTGRES_URL" in message
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        assert "\n" not in message


def test_through_a_pooler_in_session_mode_tables_are_created_and_used(
    empty_database_url: str,
) -> None:
    _make_schema(empty_database_url)
    with pgbouncer(empty_database_url, size=3, mode="session") as pooled_url:
        storage = PooledPostgresStorage(dagster_storage_url(pooled_url))
        storage.event_log_storage.add_dynamic_partitions("clinics", ["alder"])
        again = PooledPostgresStorage(dagster_storage_url(pooled_url)).event_log_storage
        assert again.has_dynamic_partition("clinics", "alder")
        runs = storage.run_storage
        assert isinstance(runs, PostgresRunStorage)
        runs.optimize_for_webserver(15_000, 3600, 20)
        with runs.connect() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "15s"
            assert connection.scalar(text("SELECT current_schema()")) == "dagster"
    assert set(_tables(empty_database_url)) == {"dagster"}


def test_reading_the_sensors_states_is_one_statement(engine: Engine, database_url: str) -> None:
    ensure_dagster_schema(engine)
    schedules = PooledPostgresStorage(dagster_storage_url(database_url)).schedule_storage
    assert schedules.all_instigator_state() == []
    with dagster_statements() as statements:
        assert schedules.all_instigator_state() == []
    assert len(statements) == 1, statements


_FORKS = """
import os
from sqlalchemy import text
from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage

runs = PooledPostgresStorage(os.environ["ADDRESS"]).run_storage

def backend():
    with runs.connect() as connection:
        return connection.scalar(text("SELECT pg_backend_pid()"))

parents = backend()
child = os.fork()
if not child:
    os._exit(0 if backend() != parents else 1)
assert os.waitpid(child, 0)[1] == 0
assert backend() == parents
"""


def test_a_forked_process_opens_a_connection_of_its_own(engine: Engine, database_url: str) -> None:
    ensure_dagster_schema(engine)
    subprocess.run(  # noqa: S603 - this interpreter, the program above
        [sys.executable, "-c", _FORKS],
        env={**os.environ, "ADDRESS": dagster_storage_url(database_url)},
        check=True,
        timeout=120,
    )


def test_a_server_that_never_responds_is_waited_for_no_longer_than_by_ours() -> None:
    address = "postgresql://host/pims?schema=dagster&keepalives_idle=5"

    given = make_url(address_without_schema(address)).query

    waits = {name: str(seconds) for name, seconds in CONNECTION_WAITS.items()}
    assert given == {**waits, "keepalives_idle": "5"}
