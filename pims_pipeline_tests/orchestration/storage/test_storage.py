"""Dagster's storage opens few connections, replaces dead ones, and shares none with a fork."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from dagster import DagsterInstance
from sqlalchemy import Connection, Engine, event, text

from pims_pipeline.orchestration.storage import pooled
from pims_pipeline.orchestration.storage.event_log import REMEMBERED_SECONDS, EventLog
from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.store.dagster.connections import WrongDagsterSchema, keeping_engine
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
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
    always = partial(keeping_engine, trusted_seconds=0.0)
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


def test_no_tables_are_created_in_a_schema_that_the_address_does_not_name(
    empty_database_url: str,
) -> None:
    owner = create_engine(empty_database_url, pool_size=1)
    url = dagster_storage_url(empty_database_url)
    with pytest.raises(WrongDagsterSchema, match="there is no schema 'dagster' for Dagster's tab"):
        PooledPostgresStorage(url)
    ensure_dagster_schema(owner)
    with (
        pgbouncer(empty_database_url, size=1, ignored="options") as pooled_url,
        pytest.raises(WrongDagsterSchema, match=r"'public' instead of 'dagster'.* a direct conn"),
    ):
        PooledPostgresStorage(dagster_storage_url(pooled_url))
    with transaction(owner) as connection:
        tables = text("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'dagster')")
        assert connection.scalar(tables) == 0
    owner.dispose()


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
