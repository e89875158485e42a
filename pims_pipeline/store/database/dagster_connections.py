"""The engine under Dagster's own storage: one connection that a process keeps.

``orchestration/storage.py`` gives it to Dagster, which owns the tables there.
"""

import os
import threading
import weakref

from sqlalchemy import Engine, create_engine

from pims_pipeline.store.database.engine import ping_after_rest

TRUSTED_SECONDS = 1.0
"""How long after its last use a connection is taken to be alive."""

_engines: "weakref.WeakValueDictionary[tuple[str, float], Engine]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


def keeping_engine(storage_url: str, *, trusted_seconds: float = TRUSTED_SECONDS) -> Engine:
    """An engine that keeps one connection, without transactions; a forked process opens its own.

    All instances of a process share it: Dagster makes one for each evaluation of a sensor. Further
    connections, which threads open at the same time, are closed after use. A connection that the
    server closed is replaced before it is used.

    Args:
        storage_url: See ``dagster_schema.dagster_storage_url``.
        trusted_seconds: A connection that rested for longer is tried before it is used.
    """
    key = (storage_url, trusted_seconds)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = create_engine(
                storage_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1
            )
            ping_after_rest(engine, trusted_seconds)
            _engines[key] = engine
        return engine


def _forget_connections() -> None:
    """A forked child must neither use nor close its parent's connections."""
    global _lock  # noqa: PLW0603 - another thread may hold the parent's for ever
    _lock = threading.Lock()
    for engine in list(_engines.values()):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
