"""Dagster's records in Postgres, over a connection that each process keeps.

Dagster's own storage opens a connection for every question and every event, some hundreds in a
run. ``dagster.yaml`` names the class below instead, for every process of the instance.
"""

import os
import weakref
from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy import Engine, create_engine

from pims_pipeline.store.database import ping_after_rest

_TRUSTED_SECONDS = 1.0
_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class PooledPostgresStorage(DagsterPostgresStorage):
    """``DagsterPostgresStorage``, whose three parts share one kept connection.

    What several threads open at once beyond it is closed after use. A connection that the
    server closed meanwhile is replaced before it is used, and a forked process opens its own.
    """

    def __init__(
        self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None
    ) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        engine = create_engine(
            postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1
        )
        ping_after_rest(engine, _TRUSTED_SECONDS)
        _engines.add(engine)
        # There is no public way to give the parts an engine.
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine  # noqa: SLF001

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Of the address that ``dagster.yaml`` names; Dagster calls this."""
        return cls(config_value["postgres_url"], inst_data=inst_data)


def _forget_connections() -> None:
    """A parent's connections are not a forked child's to use or to close."""
    for engine in list(_engines):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
