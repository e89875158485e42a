"""The event log writes the rows that Dagster's own writes, and loses none that others see."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.events import HandledOutputData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from pims_pipeline.orchestration.storage.event_log import MOST_HELD, EventLog, HeldEvents
from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days

_ROWS = {
    "event_logs": "id, run_id, event, dagster_event_type, timestamp, step_key, asset_key, "
    "partition",
    "asset_keys": "asset_key, last_materialization, last_run_id, last_materialization_timestamp",
    "asset_event_tags": "event_id, asset_key, key, value, event_timestamp",
    "asset_check_executions": "asset_key, check_name, partition, run_id, execution_status, "
    "evaluation_event, evaluation_event_timestamp, evaluation_event_storage_id, "
    "materialization_event_storage_id",
}
"""Everything that storing an event writes, except when a row was made."""

Stored = tuple[bool, list[dg.EventLogEntry]]
"""A call that stored events: whether as a batch, and the events."""


@contextmanager
def stored_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stored]]:
    """Records each call to store events."""
    calls: list[Stored] = []
    with monkeypatch.context() as patch:
        one, batch = EventLog.store_event, EventLog.store_event_batch

        def store_event(self: EventLog, event: dg.EventLogEntry) -> None:
            calls.append((False, [event]))
            one(self, event)

        def store_event_batch(self: EventLog, events: Sequence[dg.EventLogEntry]) -> None:
            calls.append((True, list(events)))
            batch(self, events)

        patch.setattr(EventLog, "store_event", store_event)
        patch.setattr(EventLog, "store_event_batch", store_event_batch)
        yield calls


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """What the events wrote."""
    found = {}
    with transaction(engine) as connection:
        for table, names in _ROWS.items():
            statement = text(f"SELECT {names} FROM dagster.{table}")  # noqa: S608 - as above
            found[table] = sorted((tuple(row) for row in connection.execute(statement)), key=repr)
    return found


def remove_all(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text(f"TRUNCATE {', '.join(f'dagster.{table}' for table in _ROWS)} RESTART IDENTITY")
        )


def test_runs_leave_the_rows_that_dagsters_own_event_log_leaves(
    deployment: DagsterDeployment,
    postgres_instance: DagsterInstance,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = replace(deployment, instance=postgres_instance)
    window = days(-2, 2)
    for slug in ("alder", "birch"):
        deployment.book(slug, window)
    remove_all(deployment.engine)
    with stored_events(monkeypatch) as calls:
        assert deployment.sync("full_sync", ["alder", "birch"], window).success
        deployment.vendors["birch"].fail_next(TransientError("asked birch; 503"), "listing")
        assert not deployment.sync("full_sync", ["alder", "birch"], window).success
    ours = rows(deployment.engine)
    assert all(ours.values())

    remove_all(deployment.engine)
    dagsters = PostgresEventLogStorage(dagster_storage_url(database_url))
    for is_batch, events in calls:
        if is_batch:
            dagsters.store_event_batch(events)
        else:
            dagsters.store_event(events[0])
    theirs = rows(deployment.engine)
    for table in _ROWS:
        assert ours[table] == theirs[table]


@pytest.fixture
def log(engine: Engine, database_url: str) -> EventLog:
    """The event log of an instance's storage."""
    ensure_dagster_schema(engine)
    log = PooledPostgresStorage(dagster_storage_url(database_url)).event_log_storage
    assert isinstance(log, EventLog)
    return log


@pytest.fixture
def others(log: EventLog, database_url: str) -> EventLog:
    """The event log, as another process has it."""
    assert log.has_table("event_logs")
    return EventLog(dagster_storage_url(database_url))


def entry(
    kind: dg.DagsterEventType, *, run_id: str = "run", step: str | None = "step"
) -> dg.EventLogEntry:
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]  # a constructor of Dagster's
        error_info=None,
        level=20,
        user_message="",
        run_id=run_id,
        timestamp=1.0,
        step_key=step,
        dagster_event=dg.DagsterEvent(
            kind.value,
            "job",
            step_key=step,
            event_specific_data=_CONTENT.get(kind),
        ),
    )


def kinds(log: EventLog) -> list[dg.DagsterEventType]:
    found = log.get_records_for_run("run").records
    return [each.event_log_entry.get_dagster_event().event_type for each in found]


OUTPUT, END = dg.DagsterEventType.HANDLED_OUTPUT, dg.DagsterEventType.STEP_SKIPPED
"""An event in the middle of a step, and one at its end."""

CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION
"""An event from which Dagster derives another row."""

_CONTENT: dict[dg.DagsterEventType, HandledOutputData | dg.AssetCheckEvaluation] = {
    OUTPUT: HandledOutputData("out", "manager"),
    CHECKED: dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("appointments"), check_name="snapshot_complete", passed=True
    ),
}


def test_an_event_in_the_middle_of_a_step_is_stored_with_the_steps_next_one(
    log: EventLog, others: EventLog
) -> None:
    log.store_event(entry(OUTPUT))
    assert kinds(others) == []
    log.store_event(entry(END))
    assert kinds(others) == [OUTPUT, END]


def test_the_thread_that_stored_an_event_finds_it_at_once(log: EventLog, others: EventLog) -> None:
    log.store_event(entry(OUTPUT))
    assert kinds(log) == [OUTPUT]
    assert kinds(others) == [OUTPUT]


def test_an_event_outside_a_step_is_stored_at_once(log: EventLog, others: EventLog) -> None:
    log.store_event(entry(OUTPUT, step=None))
    assert kinds(others) == [OUTPUT]


def test_many_events_in_the_middle_of_a_step_are_stored(log: EventLog, others: EventLog) -> None:
    for _ in range(MOST_HELD):
        log.store_event(entry(OUTPUT))
    assert len(kinds(others)) == MOST_HELD


def test_a_thread_does_not_store_the_events_that_another_one_holds(
    log: EventLog, others: EventLog
) -> None:
    log.store_event(entry(OUTPUT))
    thread = threading.Thread(target=log.store_event, args=[entry(END)])
    thread.start()
    thread.join()
    assert kinds(others) == [END]
    log.store_event(entry(END))
    assert kinds(others) == [END, OUTPUT, END]


def test_a_forked_process_does_not_store_the_events_that_its_parent_holds() -> None:
    held = HeldEvents()
    held.add([entry(OUTPUT)])
    child = os.fork()
    if not child:
        os._exit(len(held.take()))
    assert os.waitpid(child, 0)[1] == 0
    assert held.take() == [entry(OUTPUT)]


def test_held_events_are_stored_once_the_database_is_back(log: EventLog, others: EventLog) -> None:
    log.store_event(entry(OUTPUT))
    with broken_connections(log), pytest.raises(DBAPIError):
        log.store_event(entry(END))
    log.store_event(entry(END))
    assert kinds(others) == [OUTPUT, END]


def test_held_events_are_stored_once_the_database_can_be_reached(
    log: EventLog, others: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.store_event(entry(OUTPUT))
    with monkeypatch.context() as patch:
        patch.setattr("dagster_postgres.utils.time", Mock())
        refused = OperationalError("connect", None, ConnectionRefusedError())
        patch.setattr(log._engine, "connect", Mock(side_effect=refused))
        with pytest.raises(DagsterPostgresException):
            log.store_event(entry(END))
    log.store_event(entry(END))
    assert kinds(others) == [OUTPUT, END]


def test_held_events_of_an_interrupted_run_are_stored_with_its_end(
    log: EventLog, others: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.store_event(entry(OUTPUT))
    with monkeypatch.context() as patch:
        interrupt = dg.DagsterExecutionInterruptedError()
        patch.setattr(PostgresEventLogStorage, "_connect", Mock(side_effect=interrupt))
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            log.store_event(entry(END))
    log.store_event(entry(END))
    assert kinds(others) == [OUTPUT, END]


def test_held_events_are_stored_after_a_statement_took_too_long(
    log: EventLog, others: EventLog
) -> None:
    log.store_event(entry(OUTPUT))
    with failing_statements(log, "event_logs", cancel), pytest.raises(OperationalError):
        log.store_event(entry(END))
    log.store_event(entry(END))
    assert kinds(others) == [OUTPUT, END]


@pytest.mark.parametrize("is_lost", [True, False])
def test_held_events_whose_checks_were_not_noted_are_not_stored_twice(
    log: EventLog, others: EventLog, engine: Engine, *, is_lost: bool
) -> None:
    log.store_event(entry(CHECKED))
    how = lose if is_lost else cancel
    with failing_statements(log, "asset_check_executions", how), pytest.raises(DBAPIError):
        log.store_event(entry(END))
    log.store_event(entry(END, run_id="next"))
    assert kinds(others) == [CHECKED, END]
    checked = [row[:2] for row in rows(engine)["asset_check_executions"]]
    assert checked == [('["appointments"]', "snapshot_complete")]


@contextmanager
def broken_connections(log: EventLog) -> Iterator[None]:
    """The connection is lost at each statement."""
    with failing_statements(log, "", lose):
        yield


def lose(connection: Connection) -> None:
    opened = connection.connection.driver_connection
    assert opened is not None
    opened.close()


def cancel(connection: Connection) -> None:
    opened = connection.connection.driver_connection
    assert opened is not None
    opened.cursor().execute("SET statement_timeout = 50; SELECT pg_sleep(30)")


@contextmanager
def failing_statements(
    log: EventLog, table: str, how: Callable[[Connection], None]
) -> Iterator[None]:
    """Statements that name the table fail; ``how`` makes them."""

    def fail(connection: Connection, _cursor: object, sql: str, *_: object) -> None:
        if table in sql:
            how(connection)

    event.listen(log._engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(log._engine, "before_cursor_execute", fail)


def test_an_event_that_cannot_be_stored_does_not_stop_the_next(
    log: EventLog, others: EventLog
) -> None:
    log.store_event(entry(OUTPUT, step="\x00"))
    with pytest.raises(ValueError, match="NUL"):
        log.store_event(entry(END))
    log.store_event(entry(END))
    assert kinds(others) == [END]


def test_who_watches_a_run_gets_its_new_events(log: EventLog, others: EventLog) -> None:
    arrived = threading.Event()
    found: list[dg.DagsterEventType] = []

    def note(entry: dg.EventLogEntry, _cursor: str) -> None:
        found.append(entry.get_dagster_event().event_type)
        if found == [OUTPUT, END]:
            arrived.set()

    others.watch("run", None, note)
    try:
        log.store_event(entry(OUTPUT))
        log.store_event(entry(END))
        assert arrived.wait(30), found
    finally:
        others.end_watch("run", note)
        others.dispose()
