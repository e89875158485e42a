"""The engine under Dagster's own storage: one connection that a process keeps.

``orchestration/storage/`` gives it to Dagster, which owns the tables there. What a connection is
set to is in ``sessions``.
"""

import os
import threading
import weakref
from collections import defaultdict
from dataclasses import dataclass, replace

import stamina
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from pims_pipeline.domain.addresses.parsing import parse_database_address
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.dagster.sessions import DagsterSessions, check_sessions
from pims_pipeline.store.database.conditions import condition_of
from pims_pipeline.store.database.engine import (
    CONNECTION_WAITS,
    TRUSTED_SECONDS,
    ping_after_rest,
)
from pims_pipeline.store.database.errors import connection_error
from pims_pipeline.store.database.session_settings import STATEMENT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingTerms:
    """How many connections an engine keeps and opens, and for what.

    Attributes:
        keeps: Connections that stay open; one is enough for a process that works in one thread.
        overflow: Further connections at a time, closed after use; -1 for any number.
        statement_seconds: The longest that a statement may take.
        trusted_seconds: See ``ping_after_rest``.
    """

    keeps: int = 1
    overflow: int = -1
    statement_seconds: float = STATEMENT_SECONDS
    trusted_seconds: float = TRUSTED_SECONDS


_TRIES = 6
_SCHEME = "postgresql+psycopg2"
_engines: "weakref.WeakValueDictionary[tuple[str, KeepingTerms], Engine]" = (
    weakref.WeakValueDictionary()
)
_lock = threading.Lock()


def keeping_engine(storage_url: str, terms: KeepingTerms = KeepingTerms()) -> Engine:
    """An engine that keeps one connection, without transactions; a forked process opens its own.

    All instances of a process share it: Dagster makes one for each evaluation of a sensor. Further
    connections, which threads open at the same time, are closed after use. A connection that the
    server closed is replaced before it is used.

    Args:
        storage_url: See ``schema.dagster_storage_url``.
        terms: How many connections, and for what.
    """
    key = (storage_url, terms)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            engine = create_engine(
                address_without_schema(storage_url),
                isolation_level="AUTOCOMMIT",
                pool_size=terms.keeps,
                max_overflow=terms.overflow,
                # Dagster's tables have no such columns; looking the type up is a round trip.
                use_native_hstore=False,
                connect_args={"client_encoding": "utf8"},
            )
            event.listen(engine, "connect", sessions_of(storage_url, terms.statement_seconds))
            ping_after_rest(engine, terms.trusted_seconds)
            _engines[key] = engine
        return engine


def address_without_schema(storage_url: str) -> str:
    """The address of the storage for its driver; ``sessions_of`` sets the schema.

    Poolers refuse or drop an address's ``search_path``. It waits no longer than ours does.
    """
    address = parse_database_address(storage_url)
    waits = {name: str(value) for name, value in CONNECTION_WAITS.items()}
    return replace(address, parameters={**waits, **address.parameters}).as_text(_SCHEME)


def sessions_of(storage_url: str, statement_seconds: float = STATEMENT_SECONDS) -> DagsterSessions:
    """What connections to the storage are set to."""
    return DagsterSessions(_schema_of(storage_url), statement_seconds)


def _schema_of(storage_url: str) -> str | None:
    named = parse_database_address(storage_url).named_schema
    # The address has it without quotes.
    return None if named is None else named.lower()


def check_storage(storage_url: str, *, with_schema: bool = False, tries: int = _TRIES) -> None:
    """Connect once, so that a wrong address is an error before Dagster's processes are started.

    Args:
        storage_url: See ``schema.dagster_storage_url``.
        with_schema: Whether the schema of the tables must exist.
        tries: How often to try to connect, within some seconds.

    Raises:
        DatabaseUnavailable: If no connection can be opened.
        SharedSessions: If the address leads to a pooler in transaction mode.
        WrongDagsterSchema: If the schema must exist and does not.
    """
    engine = keeping_engine(storage_url)
    try:
        check_connection(engine, tries)
        if with_schema:
            with engine.connect() as connection:
                check_schema(connection, storage_url)
    finally:
        engine.dispose()


def check_connection(engine: Engine, tries: int = _TRIES) -> None:
    """Connect, and make sure that the sessions are our own; for some seconds, tries again.

    Raises:
        DatabaseUnavailable: If no connection can be opened.
        SharedSessions: If the address leads to a pooler in transaction mode.
    """
    variables = "DAGSTER_POSTGRES_URL (if it is unset, PIMS_DATABASE_URL)"
    try:
        for attempt in stamina.retry_context(
            on=_passes, attempts=tries, timeout=10, wait_initial=0.2
        ):
            with attempt:
                check_sessions(engine)
    except DBAPIError as error:
        raise connection_error(engine.url, error, variables=variables) from None


def _passes(error: Exception) -> bool:
    """Whether the same may succeed shortly after: a server may be restarting."""
    condition = condition_of(error.orig) if isinstance(error, OperationalError) else None
    return isinstance(error, OperationalError) and (condition is None or condition.passes)


class WrongDagsterSchema(UserFacingError):
    """The schema of Dagster's tables is not there."""


def check_schema(connection: Connection, storage_url: str) -> None:
    """Make sure that new tables can get into the schema that the address names.

    Raises:
        WrongDagsterSchema: If they cannot.
    """
    if connection.scalar(text("SELECT current_schema()")) is None:
        wanted = _schema_of(storage_url) or "public"
        raise WrongDagsterSchema(
            f"there is no schema {wanted!r} for Dagster's tables; create it, or correct the schema "
            "in DAGSTER_POSTGRES_URL"
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
