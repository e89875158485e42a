"""Dagster's storage in Postgres, over a connection that each process keeps open.

Dagster's own storage opens a connection for every query and event, hundreds in a run.
``dagster.yaml`` names this class instead, for every process of the instance.
"""

import atexit
import gc
from collections.abc import Collection, Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy import Connection

from pims_pipeline.orchestration._dagster_private import ConfigurableClassData, use_engine
from pims_pipeline.orchestration.storage.event_log import EventLog
from pims_pipeline.orchestration.storage.kept_engine import KeepsEngine
from pims_pipeline.store.dagster.connections import (
    address_without_schema,
    check_connection,
    check_schema,
    columns_by_table,
    keeping_engine,
    sessions_of,
)
from pims_pipeline.store.dagster.sessions import settled

_TABLES = frozenset({"event_logs", "instance_info", "jobs", "runs"})
"""Without one of these, Dagster makes its tables."""


class RememberingRunStorage(KeepsEngine, PostgresRunStorage):
    """A run storage that looks the columns of its table up until they are there."""

    def __init__(
        self,
        postgres_url: str,
        *,
        columns: Collection[str] = (),
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        self._has_stats = {"start_time", "end_time"} <= set(columns)
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    def has_run_stats_index_cols(self) -> bool:
        """Whether the table of runs has the columns of start and end."""
        self._has_stats = self._has_stats or super().has_run_stats_index_cols()
        return self._has_stats


class RememberingScheduleStorage(KeepsEngine, PostgresScheduleStorage):
    """A storage of sensors and schedules that repeats no lookup of what is present.

    Dagster makes three before most statements: of two tables, and of finished migrations of data.
    """

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._has_instigators = False
        self._built: set[str] = set()
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    # The public method opens a connection, and then asks this one, as storing a state does.
    def _has_instigators_table(self, conn: Connection) -> bool:
        self._has_instigators = self._has_instigators or super()._has_instigators_table(conn)
        return self._has_instigators

    def has_instigators_table(self) -> bool:
        """Whether the table of sensors' states exists."""
        return self._has_instigators or super().has_instigators_table()

    def has_built_index(self, migration_name: str) -> bool:
        """Whether a migration of data is finished."""
        if migration_name not in self._built and super().has_built_index(migration_name):
            self._built.add(migration_name)
        return migration_name in self._built


class PooledPostgresStorage(DagsterPostgresStorage):
    """A ``DagsterPostgresStorage`` whose three parts share one connection."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        engine = keeping_engine(postgres_url)
        check_connection(engine)
        use_engine(self, engine)
        tables = self._tables()
        if not tables.keys() >= _TABLES:
            with self._run_storage.connect() as connection:
                check_schema(connection, postgres_url)
            with settled(sessions_of(postgres_url)):
                DagsterPostgresStorage(address_without_schema(postgres_url))
            tables = self._tables()
        self._run_storage = RememberingRunStorage(
            postgres_url, columns=tables["runs"], inst_data=inst_data
        )
        self._event_log_storage = EventLog(postgres_url, tables=tables, inst_data=inst_data)
        self._schedule_storage = RememberingScheduleStorage(postgres_url, inst_data=inst_data)
        use_engine(self, engine)

    def _tables(self) -> dict[str, set[str]]:
        with self._run_storage.connect() as connection:
            return columns_by_table(connection)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Make the storage from its configuration in ``dagster.yaml``; Dagster calls this."""
        # Each Dagster process calls this. At its end, Python would look for garbage among all
        # that Dagster imported, which costs a second of CPU, a third of a short run's.
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)
        return cls(config_value["postgres_url"], inst_data=inst_data)
