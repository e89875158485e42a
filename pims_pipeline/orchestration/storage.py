"""Dagster's records in Postgres, over a connection that each process keeps.

Dagster's own storage opens a connection for every question and every event, some hundreds in a
run. ``dagster.yaml`` names the class below instead, for every process of the instance.
"""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from pims_pipeline.store.dagster_connections import keeping_engine


class PooledPostgresStorage(DagsterPostgresStorage):
    """``DagsterPostgresStorage``, whose three parts share one kept connection."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        engine = keeping_engine(postgres_url)
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine  # noqa: SLF001 - there is no public way to give it one

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Of the address that ``dagster.yaml`` names; Dagster calls this."""
        return cls(config_value["postgres_url"], inst_data=inst_data)
