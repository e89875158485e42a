"""Dagster's storage in Postgres, over a connection that each process keeps open.

Dagster's own storage opens a connection for every query and event, hundreds in a run.
``dagster.yaml`` names this class instead, for every process of the instance.
"""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy import Connection

from pims_pipeline.orchestration._dagster_private import ConfigurableClassData, use_engine
from pims_pipeline.store.database.dagster_connections import keeping_engine

REMEMBERED_SECONDS = 10.0
"""How long a process takes a partition for present after it has found it."""


class RememberingEventLog(PostgresEventLogStorage):
    """An event log that does not repeat the lookups that Dagster makes before most statements.

    Only what is present is remembered: upgrades add tables and columns, clinics add partitions.
    """

    def __init__(
        self,
        postgres_url: str,
        *,
        inst_data: ConfigurableClassData | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        self._partitions: dict[tuple[str, str], float] = {}
        self._clock = clock
        # The storage that it is a part of has made the tables.
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    def has_table(self, table_name: str) -> bool:
        """Whether the table exists; looked up until it does."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    # The public method opens a connection, and then asks this one, as storing an event does.
    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        look_up = super()._has_asset_key_col_on_connection
        if column_name not in self._columns and look_up(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether the partition exists, or did ``REMEMBERED_SECONDS`` ago or less."""
        partition = (partitions_def_name, partition_key)
        if self._clock() < self._partitions.get(partition, 0.0):
            return True
        found = super().has_dynamic_partition(partitions_def_name, partition_key)
        if found:
            self._partitions[partition] = self._clock() + REMEMBERED_SECONDS
        return found

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Delete the partition, and forget it at once."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        self._partitions.pop((partitions_def_name, partition_key), None)


class RememberingRunStorage(PostgresRunStorage):
    """A run storage that looks the columns of its table up until they are there."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._has_stats = False
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)

    def has_run_stats_index_cols(self) -> bool:
        """Whether the table of runs has the columns of start and end."""
        self._has_stats = self._has_stats or super().has_run_stats_index_cols()
        return self._has_stats


class RememberingScheduleStorage(PostgresScheduleStorage):
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
        super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = RememberingRunStorage(postgres_url, inst_data=inst_data)
        self._event_log_storage = RememberingEventLog(postgres_url, inst_data=inst_data)
        self._schedule_storage = RememberingScheduleStorage(postgres_url, inst_data=inst_data)
        use_engine(self, keeping_engine(postgres_url))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Make the storage from its configuration in ``dagster.yaml``; Dagster calls this."""
        return cls(config_value["postgres_url"], inst_data=inst_data)
