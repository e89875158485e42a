"""Dagster's storage in Postgres, over a connection that each process keeps open.

Dagster's own storage opens a connection for every query and event, hundreds in a run.
``dagster.yaml`` names this class instead, for every process of the instance.
"""

from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage
from sqlalchemy import inspect

from pims_pipeline.orchestration._dagster_private import ConfigurableClassData, use_engine
from pims_pipeline.orchestration.event_log import EventLog
from pims_pipeline.store.database.dagster_connections import keeping_engine

_TABLES = frozenset({"event_logs", "instance_info", "jobs", "runs"})
"""Without one of these, Dagster makes its tables."""


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


class PooledPostgresStorage(DagsterPostgresStorage):
    """A ``DagsterPostgresStorage`` whose three parts share one connection."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        engine = keeping_engine(postgres_url)
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = RememberingRunStorage(postgres_url, inst_data=inst_data)
        use_engine(self, engine)
        tables = self._table_names()
        if not tables >= _TABLES:
            DagsterPostgresStorage(postgres_url)
            tables = self._table_names()
        self._event_log_storage = EventLog(postgres_url, tables=tables, inst_data=inst_data)
        use_engine(self, engine)

    def _table_names(self) -> set[str]:
        with self._run_storage.connect() as connection:
            return set(inspect(connection).get_table_names())

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Make the storage from its configuration in ``dagster.yaml``; Dagster calls this."""
        return cls(config_value["postgres_url"], inst_data=inst_data)
