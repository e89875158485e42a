"""Dagster's storage in Postgres, over a connection that each process keeps open.

Dagster's own storage opens a connection for every query and event, hundreds in a run.
``dagster.yaml`` names this class instead, for every process of the instance.
"""

from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage

from pims_pipeline.orchestration._dagster_private import ConfigurableClassData, use_engine
from pims_pipeline.store.database.dagster_connections import keeping_engine


class PooledPostgresStorage(DagsterPostgresStorage):
    """A ``DagsterPostgresStorage`` whose three parts share one connection."""

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        use_engine(self, keeping_engine(postgres_url))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Make the storage from its configuration in ``dagster.yaml``; Dagster calls this."""
        return cls(config_value["postgres_url"], inst_data=inst_data)
