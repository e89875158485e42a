"""When Dagster's daemon was last alive, read from Dagster's storage without an instance."""

from pims_pipeline.orchestration.storage.pooled import PooledPostgresStorage
from pims_pipeline.store.dagster.connections import columns_by_table, keeping_engine

_DAEMON = "SENSOR"
"""The part of the daemon that evaluates our sensors, which start every scheduled run."""


def last_heartbeat(storage_url: str) -> float | None:
    """Seconds since 1970 of the daemon's last heartbeat; None if it never sent one.

    Creates nothing: without Dagster's tables there is no heartbeat.

    Args:
        storage_url: See ``store.dagster.schema.dagster_storage_url``.
    """
    with keeping_engine(storage_url).connect() as connection:
        if "daemon_heartbeats" not in columns_by_table(connection):
            return None
    storage = PooledPostgresStorage(storage_url)
    beat = storage.run_storage.get_daemon_heartbeats().get(_DAEMON)
    return None if beat is None else beat.timestamp
