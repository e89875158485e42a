"""The engine of the database, and its transactions.

``transaction()`` is the only place in the project that commits. Queries belong in the module of
each noun, names of failures in ``errors`` and ``conditions``.

Everything here works through a pooler in transaction mode: no session state, no prepared
statements, and only advisory locks that end with their transaction.
"""

import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    OperationalError,
    TimeoutError,  # noqa: A004 - the pool's; the builtin is not used here
)
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection, QueuePool

from pims_pipeline.domain.addresses.parsing import DEFAULT_SCHEMA, in_schema, parse_database_address
from pims_pipeline.store.database.conditions import (
    OLD_SERVER,
    WRONG_ENCODING,
    leave_rows_out,
)
from pims_pipeline.store.database.errors import (
    DatabaseRefused,
    PoolExhausted,
    connection_error,
    named_error,
)
from pims_pipeline.store.database.locks import (
    DEFAULT_LOCK_SECONDS,
    LOCK_OPTION,
    is_lock_timeout,
    lock_timeout,
)
from pims_pipeline.store.database.session_settings import (
    STATEMENT_SECONDS,
    begin_statement,
    operator_settings,
)

CONNECTION_WAITS: Mapping[str, int] = MappingProxyType(
    {
        "connect_timeout": 10,
        # A network that forgets idle connections must not leave a statement waiting.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
)
"""How long a connection waits for the server; options in an address take precedence."""
_POOL_TIMEOUT_SECONDS = 30.0
_SCHEMA = "pims_schema"
_SECONDS = "pims_statement_seconds"
_RESTS_SINCE = "pims.rests_since"
SIGN_IN_OPTION = "pims_operator_sign_in"
"""An engine's option: the hash of the sign-in whose clinics its transactions see."""
_OLDEST_SERVER = 150_000

TRUSTED_SECONDS = 1.0
"""How long after its last use a connection is taken to be alive, if nothing arrived on it."""


def create_engine(
    url: str,
    *,
    pool_size: int = 10,
    pool_timeout_seconds: float = _POOL_TIMEOUT_SECONDS,
    lock_seconds: float = DEFAULT_LOCK_SECONDS,
    trusted_seconds: float = TRUSTED_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Engine:
    """An engine that speaks psycopg 3. Connects to nothing yet.

    Each transaction begins with the settings of ``session_settings``, whatever the role's are.

    Args:
        url: ``postgres://``, ``postgresql://`` or ``postgresql+psycopg://``.
        pool_size: The most connections at a time; further threads wait.
        pool_timeout_seconds: How long a thread waits for a connection to become free.
        lock_seconds: How long a transaction waits for another session's lock.
        trusted_seconds: See ``ping_after_rest``. If a connection is not alive, its use fails as
            ``DatabaseUnavailable``.
        statement_seconds: The longest that a statement may take.

    Raises:
        BadDatabaseUrl: If ``url`` is none of these, or can be read in more than one way.
    """
    address = parse_database_address(url)
    engine = _engine(
        sqlalchemy.make_url(address.as_text("postgresql+psycopg")),
        {_SCHEMA: address.schema, _SECONDS: statement_seconds, LOCK_OPTION: lock_seconds},
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_seconds,
    )
    ping_after_rest(engine, trusted_seconds)
    return engine


def schema_of(engine: Engine) -> str:
    """The schema of our tables, as the engine's address names it."""
    return str(engine.get_execution_options()[_SCHEMA])


def schema_prefix(engine: Engine) -> str:
    """The schema with its dot, for names of functions in messages; empty for ``public``."""
    schema = schema_of(engine)
    quoted = engine.dialect.identifier_preparer.quote(schema)
    return "" if schema == DEFAULT_SCHEMA else f"{quoted}."


def address_of(engine: Engine) -> str:
    """The address that the engine was created with, with its password and the tables' schema."""
    named = schema_of(engine)
    url = engine.url.render_as_string(hide_password=False)
    return in_schema(url, None if named == DEFAULT_SCHEMA else named)


def without_pool(engine: Engine) -> Engine:
    """An engine like ``engine`` that opens a connection for each use, and closes it after that."""
    return _engine(engine.url, engine.get_execution_options(), poolclass=NullPool)


def _engine(url: URL, options: Mapping[str, Any], **pool: Any) -> Engine:
    ours = {**CONNECTION_WAITS, "application_name": "pims_pipeline"}
    # Options in the address take precedence.
    arguments = {name: value for name, value in ours.items() if name not in url.query}
    # Transactions are begun by ``_begin``, not by the driver, so that BEGIN carries settings.
    arguments |= {"prepare_threshold": None, "autocommit": True, "client_encoding": "utf8"}
    engine = sqlalchemy.create_engine(
        url,
        # Parameters hold personal data, which must not reach the logs.
        hide_parameters=True,
        # No column is an hstore, and looking for that type costs three round trips.
        use_native_hstore=False,
        connect_args=arguments,
        execution_options=dict(options),
        **pool,
    )
    event.listen(engine, "handle_error", leave_rows_out)
    event.listen(engine, "connect", _check_server, insert=True)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        return
    statement = begin_statement(
        options[_SCHEMA],
        statement_seconds=options[_SECONDS],
        lock_seconds=options[LOCK_OPTION],
        server_version=raw.info.server_version,
    ) + operator_settings(options.get(SIGN_IN_OPTION))
    try:
        if not raw.autocommit:
            # A user without transactions left it so.
            raw.autocommit = True
        raw.execute(statement.encode())
    except psycopg.Error as error:
        if raw.closed:
            connection.invalidate(error)
        # As SQLAlchemy would wrap it; its own wrapper costs more than the statement.
        raise OperationalError("BEGIN", None, error, connection_invalidated=raw.closed) from error


def _check_server(opened: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Refuse a server that is too old, or whose text is not in UTF-8."""
    connection = record.driver_connection
    if not isinstance(connection, psycopg.Connection):
        return
    encoding = connection.info.parameter_status("server_encoding")
    problem = None
    if connection.info.server_version < _OLDEST_SERVER:
        problem = OLD_SERVER
    elif encoding is not None and encoding != "UTF8":
        problem = WRONG_ENCODING
    if problem is not None:
        opened.close()
        raise DatabaseRefused(problem)


def ping_after_rest(engine: Engine, seconds: float) -> None:
    """Ping a connection before use if it was not used for ``seconds``, or if something arrived.

    A server or pooler that closes a connection says so, which is seen without a round trip. One
    that vanished is noticed by the ping alone.
    """

    def has_news(record: ConnectionPoolEntry) -> bool:
        connection: Any = record.driver_connection
        poll = select.poll()
        try:
            poll.register(connection.fileno(), select.POLLIN)
        except engine.dialect.loaded_dbapi.Error:
            return True
        return bool(poll.poll(0))

    def note(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    def check(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _lent: PoolProxiedConnection
    ) -> None:
        since = record.info.get(_RESTS_SINCE)
        if since is None or (time.monotonic() < since + seconds and not has_news(record)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool then opens another.
            raise DisconnectionError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", check)


@contextmanager
def transaction(engine: Engine, *, lock_seconds: float | None = None) -> Iterator[Connection]:
    """A connection in a transaction that commits at the end, or rolls back on any error.

    A thread that is in one never opens another: with few connections, threads that hold one
    and wait for a second would wait for each other.

    Args:
        engine: On the database of cases.
        lock_seconds: How long to wait for another session's lock; the engine's own limit
            unless given.

    Raises:
        DatabaseUnavailable: If the database cannot be reached, or the connection is lost.
        LockTimeout: If another session holds a lock for too long.
    """
    seconds = lock_seconds or engine.get_execution_options()[LOCK_OPTION]
    with _connected(engine) as connection:
        connection.execution_options(**{LOCK_OPTION: seconds})
        try:
            with connection.begin():
                yield connection
        except DBAPIError as error:
            if is_lock_timeout(error):
                raise lock_timeout(connection, error, seconds) from None
            raise


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise connection_error(engine.url, error) from None
    except TimeoutError as error:
        waited = engine.pool.timeout() if isinstance(engine.pool, QueuePool) else 0
        raise PoolExhausted(
            f"no connection to database {engine.url.database!r} became free within {waited:g} "
            "seconds; try again, do fewer things at a time, or raise PIMS_DATABASE_POOL_SIZE"
        ) from error
    try:
        with connection:
            yield connection
    except DBAPIError as error:
        named = named_error(engine.url, error)
        if named is None:
            raise
        raise named from error
