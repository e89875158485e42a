"""The engine under Dagster's own storage: one connection that a process keeps.

``orchestration/storage/`` gives it to Dagster, which owns the tables there.
"""

import os
import threading
import weakref
from collections import defaultdict

from sqlalchemy import Connection, Engine, create_engine, text

from pims_pipeline.domain.addresses import parse_database_address
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import TRUSTED_SECONDS, ping_after_rest

_engines: "weakref.WeakValueDictionary[tuple[str, float], Engine]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


def keeping_engine(storage_url: str, *, trusted_seconds: float = TRUSTED_SECONDS) -> Engine:
    """An engine that keeps one connection, without transactions; a forked process opens its own.

    All instances of a process share it: Dagster makes one for each evaluation of a sensor. Further
    connections, which threads open at the same time, are closed after use. A connection that the
    server closed is replaced before it is used.

    Args:
        storage_url: See ``schema.dagster_storage_url``.
        trusted_seconds: See ``ping_after_rest``.
    """
    key = (storage_url, trusted_seconds)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = create_engine(
                storage_url,
                isolation_level="AUTOCOMMIT",
                pool_size=1,
                max_overflow=-1,
                # Dagster's tables have no such columns; looking the type up is a round trip.
                use_native_hstore=False,
            )
            ping_after_rest(engine, trusted_seconds)
            _engines[key] = engine
        return engine


class WrongDagsterSchema(UserFacingError):
    """Dagster's tables would be created in another schema than the address names."""


def check_schema(connection: Connection, storage_url: str) -> None:
    """Make sure that new tables get into the schema that the address names.

    Some poolers drop an address's options; then the tables would get into ``public``, which may be
    another application's.

    Raises:
        WrongDagsterSchema: If they would not.
    """
    wanted = parse_database_address(storage_url).named_schema
    found = connection.scalar(text("SELECT current_schema()"))
    # The address has it without quotes.
    if wanted is None or found == wanted.lower():
        return
    if found is None:
        raise WrongDagsterSchema(
            f"there is no schema {wanted!r} for Dagster's tables; create it, or correct the schema "
            "in DAGSTER_POSTGRES_URL"
        )
    raise WrongDagsterSchema(
        f"Dagster's tables would be created in the schema {found!r} instead of {wanted!r}, because "
        "a pooler drops options of the address; set DAGSTER_POSTGRES_URL to a direct connection"
    )


def columns_by_table(connection: Connection) -> dict[str, set[str]]:
    """The names of the columns of each table in the connection's schema."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in connection.execute(_COLUMNS):
        found[table].add(column)
    return dict(found)


_COLUMNS = text("""
    SELECT c.relname, a.attname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
""")


def _forget_connections() -> None:
    """A forked child must neither use nor close its parent's connections."""
    global _lock  # noqa: PLW0603 - another thread may hold the parent's for ever
    _lock = threading.Lock()
    for engine in list(_engines.values()):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
