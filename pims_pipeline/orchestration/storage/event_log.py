"""Dagster's event log in Postgres, with few statements.

Dagster's own sends three to six statements for most events, one after the other. This one

- stores the events of a batch, and what Dagster derives from them, with a statement for each table;
- holds an event in the middle of a step, and stores it with the step's next one (``IN_STEP``);
- sends no NOTIFY: Dagster finds new events by polling;
- does not repeat lookups of tables, columns and partitions.

The rows are the same as Dagster's: ``test_event_log.py`` compares them. The rows of checks are in
``check_executions``, the connections in ``pooled``.
"""

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from time import monotonic
from types import MappingProxyType
from typing import Any

import dagster as dg
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import Connection, insert, inspect
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from pims_pipeline.orchestration._dagster_private import (
    ASSET_KEY_INDEX,
    AssetEventTagsTable,
    ConfigurableClassData,
    SqlEventLogStorageTable,
)
from pims_pipeline.orchestration.storage.check_executions import LoggedEvent, write_checks
from pims_pipeline.orchestration.storage.kept_engine import KeepsEngine

REMEMBERED_SECONDS = 10.0
"""How long a process takes a partition for present after it has found it."""

IN_STEP = frozenset(
    {
        dg.DagsterEventType.STEP_OUTPUT.value,
        dg.DagsterEventType.HANDLED_OUTPUT.value,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
    }
)
"""Events after which others of the same step follow, at the latest its success or failure.

Nothing depends on them before that. If the process is killed in between, they are lost.
"""

MOST_HELD = 100
"""With so many events held, they are stored."""

_ASSETS = "asset_keys"

_OF_ASSETS = frozenset(
    {
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
        dg.DagsterEventType.ASSET_OBSERVATION.value,
        dg.DagsterEventType.ASSET_FAILED_TO_MATERIALIZE.value,
        dg.DagsterEventType.FRESHNESS_STATE_CHANGE.value,
    }
)
"""Events that Dagster also notes at their asset."""


Row = tuple[dg.EventLogEntry, dict[str, Any]]
"""An event with its row."""

Held = dg.EventLogEntry | LoggedEvent
"""An event to be stored, or one that is, but not yet what Dagster derives from it."""


def _may_pass(error: BaseException) -> bool:
    """Whether the events may be stored later: the database or the run was interrupted."""
    if not isinstance(error, Exception):
        return True
    # Dagster raises an error of its own from the last one that it met while connecting.
    found = error if isinstance(error, SQLAlchemyError) else error.__cause__
    is_refusal = isinstance(found, (DataError, IntegrityError, ProgrammingError))
    return isinstance(found, SQLAlchemyError) and not is_refusal


def _is_in_step(event: dg.EventLogEntry) -> bool:
    of_dagster = event.dagster_event
    if of_dagster is None or not event.run_id or of_dagster.step_key is None:
        return False
    return of_dagster.event_type_value in IN_STEP


class HeldEvents(threading.local):
    """The events of this thread that wait for its next one; a forked process has none."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._events: list[Held] = []

    def add(self, events: Iterable[Held]) -> int:
        """Hold more events; returns how many are held."""
        self._events = [*self.take(), *events]
        return len(self._events)

    def take(self) -> list[Held]:
        """Return the events in order, and hold none."""
        events, self._events = self._events, []
        if self._process != os.getpid():
            # They are its parent's, which stores them.
            self._process, events = os.getpid(), []
        return events


class EventLog(KeepsEngine, PostgresEventLogStorage):
    """An event log that stores events together, and repeats no lookups.

    Only what is present is remembered: upgrades add tables and columns, clinics add partitions.

    Args:
        postgres_url: On psycopg2; the tables are there.
        tables: Tables that are known to be there, with their columns.
        inst_data: See Dagster.
        clock: For tests.
    """

    def __init__(
        self,
        postgres_url: str,
        *,
        tables: Mapping[str, Collection[str]] = MappingProxyType({}),
        inst_data: ConfigurableClassData | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tables = set(tables)
        self._columns = set(tables.get(_ASSETS, ()))
        self._partitions: dict[tuple[str, str], float] = {}
        self._clock = clock
        self._held = HeldEvents()
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store the event; one in the middle of a step is stored with the step's next one."""
        if not _is_in_step(event):
            self._store([event])
        elif self._held.add([event]) >= MOST_HELD:
            self._store([])

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store the events in their order."""
        # As Dagster does, which stores such an event only where it comes alone.
        self._store([e for e in events if not e.get_dagster_event().is_asset_failed_to_materialize])

    def _connect(self) -> AbstractContextManager[Connection]:
        """Connect; the thread then finds all of its events."""
        self._store([])
        return super()._connect()

    def _store(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store what this thread holds, and these events.

        Dagster tries these again, or ignores that a logged line cannot be stored. So what is held
        stays held if it may be stored later.
        """
        held = self._held.take()
        if not held and not events:
            return
        try:
            rows = [
                (event, self._event_to_row(event))
                for event in (*held, *events)
                if not isinstance(event, LoggedEvent)
            ]
            self._look_up(rows)
            with super()._connect() as connection:
                inserted = [event for event in held if isinstance(event, LoggedEvent)]
                logged = [*inserted, *self._insert(connection, rows)]
                # Each statement commits, so these are not inserted again.
                held = list[Held](logged[: len(held)])
                of_assets = [each for each in logged if each.kind in _OF_ASSETS]
                self._write_asset_events(connection, of_assets)
                write_checks(connection, logged)
        except BaseException as error:
            if _may_pass(error):
                self._held.add(held)
            raise

    def _look_up(self, rows: Sequence[Row]) -> None:
        """Look up, once, what storing these rows asks; not while this thread has the connection."""
        if any(row["asset_key"] for _, row in rows):
            self.has_secondary_index(ASSET_KEY_INDEX)
            self.has_table(AssetEventTagsTable.name)

    def _insert(self, connection: Connection, rows: Sequence[Row]) -> list[LoggedEvent]:
        if not rows:
            return []
        ids = connection.scalars(
            insert(SqlEventLogStorageTable).returning(
                SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
            ),
            [row for _, row in rows],
        ).all()
        return [LoggedEvent(key, *each) for key, each in zip(ids, rows, strict=True)]

    def _write_asset_events(self, connection: Connection, stored: Sequence[LoggedEvent]) -> None:
        """Write the events' tags, and the last event of each kind at its asset."""
        tags = [row for each in stored for row in self._tag_rows(each)]
        if tags and self.has_table(AssetEventTagsTable.name):
            connection.execute(insert(AssetEventTagsTable), tags)
        last = {(each.asset_key, each.kind): each for each in stored if each.asset_key}
        # Two processes that note events at the same assets do so in the same order.
        for each in sorted(last.values(), key=lambda each: (each.asset_key, each.id)):
            self._store_asset_event(connection, each.event, each.id)

    def _tag_rows(self, stored: LoggedEvent) -> list[dict[str, Any]]:
        of = {
            "event_id": stored.id,
            "asset_key": stored.asset_key,
            "event_timestamp": stored.row["timestamp"],
        }
        tags = self._tags_for_asset_event(stored.event)
        return [{**of, "key": key, "value": value} for key, value in tags.items()]

    def has_table(self, table_name: str) -> bool:
        """Whether the table exists; looked up until it does."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has the column; looked up until it does."""
        return column_name in self._columns or super().has_asset_key_col(column_name)

    # The public method opens a connection, and then asks this one, as storing an event does.
    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        if column_name not in self._columns:
            self._columns.update(each["name"] for each in inspect(conn).get_columns(_ASSETS))
        return column_name in self._columns

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether the partition exists, or did ``REMEMBERED_SECONDS`` ago or less."""
        partition = (partitions_def_name, partition_key)
        if self._clock() >= self._partitions.get(partition, 0.0):
            # Dagster asks for one clinic after the other.
            until = self._clock() + REMEMBERED_SECONDS
            found = self.get_dynamic_partitions(partitions_def_name)
            self._partitions = {(partitions_def_name, each): until for each in found}
        return partition in self._partitions

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Delete the partition, and forget it at once."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        self._partitions.pop((partitions_def_name, partition_key), None)
