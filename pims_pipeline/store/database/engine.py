"""The way to the database: engine, transactions, locks, migrations, Dagster's schema.

``transaction()`` is the only place in the project that commits. What is read and written stands
in the modules named after each noun; what a refusal of the database is called, in ``conditions``.

Everything here works through a pooler in transaction mode: no session state, no prepared
statements, and only advisory locks that end with their transaction.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    OperationalError,
    TimeoutError,  # noqa: A004 - the pool's; the builtin is not used here
)
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection, QueuePool

from pims_pipeline.domain.addresses import parse_database_address
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.conditions import (
    OLD_SERVER,
    WRONG_ENCODING,
    Condition,
    condition_of,
    leave_rows_out,
    sentence,
)
from pims_pipeline.store.database.lock_limits import (
    DEFAULT_LOCK_SECONDS,
    LOCK_OPTION,
    is_lock_timeout,
    lock_timeout,
)
from pims_pipeline.store.database.session_settings import (
    STATEMENT_SECONDS,
    begin_statement,
    startup_options,
)
from pims_pipeline.store.migrations.former_revisions import unknown_revision_problem

VERSION_TABLE = "pims_alembic_version"
DAGSTER_SCHEMA = "dagster"

CLINIC_LOCK = 1
MIGRATION_LOCK = 4
ALERTS_LOCK = 5
_LOCKED: Mapping[int, str] = {
    CLINIC_LOCK: "writing to this clinic",
    MIGRATION_LOCK: "making the tables",
    ALERTS_LOCK: "working on alerts",
}
"""What each kind of advisory lock protects."""

MIGRATION_LOCK_SECONDS = 300.0
"""Another process may be migrating, which takes its time."""

_CONNECT_TIMEOUT_SECONDS = 10
_POOL_TIMEOUT_SECONDS = 30.0
_SCHEMA = "pims_schema"
_SECONDS = "pims_statement_seconds"
_RESTS_SINCE = "pims.rests_since"
_OLDEST_SERVER = 150_000


class DatabaseUnavailable(UserFacingError):
    """The database does not answer, or not us."""


class DatabaseRefused(DatabaseUnavailable):
    """The database is there, and refuses for a reason that has a name.

    Attributes:
        what: The reason alone, without names of hosts, roles or tables: for anybody.
        passes: Whether the same transaction may well succeed a moment later.
    """

    def __init__(self, condition: Condition, error: object = None, *, where: str = "") -> None:
        """Say what ``condition`` is, with the code and words of the driver's ``error``."""
        self.what = condition.what
        self.passes = condition.passes
        super().__init__(where + sentence(condition, error))


class DatabaseNotMigrated(UserFacingError):
    """The tables are not the ones that this version of the program works with."""


class PoolExhausted(DatabaseUnavailable):
    """No connection of this process became free in time."""


def create_engine(
    url: str,
    *,
    pool_size: int = 10,
    pool_timeout_seconds: float = _POOL_TIMEOUT_SECONDS,
    lock_seconds: float = DEFAULT_LOCK_SECONDS,
    trusted_seconds: float = 0,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Engine:
    """An engine that speaks psycopg 3. Connects to nothing yet.

    Each transaction begins with the settings of ``session_settings``, whatever the role's are.

    Args:
        url: ``postgres://``, ``postgresql://`` or ``postgresql+psycopg://``.
        pool_size: The most connections at a time; whoever needs one more waits.
        pool_timeout_seconds: How long a thread waits for a connection to become free.
        lock_seconds: How long a transaction waits for another session's lock.
        trusted_seconds: How long after its last use a connection is taken to be alive, and is
            used without asking it. If it is not, that use fails as ``DatabaseUnavailable``.
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
        pool_pre_ping=trusted_seconds == 0,
        pool_timeout=pool_timeout_seconds,
    )
    if trusted_seconds:
        ping_after_rest(engine, trusted_seconds)
    return engine


def without_pool(engine: Engine) -> Engine:
    """An engine like ``engine`` that opens a connection for each use, and closes it after that."""
    return _engine(engine.url, engine.get_execution_options(), poolclass=NullPool)


def _engine(url: URL, options: Mapping[str, Any], **pool: Any) -> Engine:
    ours = {
        "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
        # A network that forgets idle connections must not leave a statement waiting.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "application_name": "pims_pipeline",
    }
    # What the address says goes first.
    arguments = {name: value for name, value in ours.items() if name not in url.query}
    # Transactions are begun by ``_begin``, not by the driver, so that BEGIN carries settings.
    arguments |= {"prepare_threshold": None, "autocommit": True, "client_encoding": "utf8"}
    engine = sqlalchemy.create_engine(
        url,
        # Statements fail with rows of people in hand; parameters must not reach the logs.
        hide_parameters=True,
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
    )
    try:
        if not raw.autocommit:
            # Whoever worked without transactions left it so.
            raw.autocommit = True
        raw.execute(statement.encode())
    except psycopg.Error as error:
        if raw.closed:
            connection.invalidate(error)
        # As SQLAlchemy words it, whose own way costs more than the statement.
        raise OperationalError("BEGIN", None, error, connection_invalidated=raw.closed) from error


def _check_server(opened: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Refuse a server that is too old, or keeps its text in no encoding or another."""
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
    """Ask a connection whether it is alive only if it was not used for ``seconds``."""

    def note(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    def check(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _lent: PoolProxiedConnection
    ) -> None:
        since = record.info.get(_RESTS_SINCE)
        if since is None or time.monotonic() < since + seconds:
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
        DatabaseUnavailable: If the database cannot be reached, or goes away meanwhile.
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
                raise lock_timeout(connection, error, seconds, _LOCKED) from None
            raise


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise unavailable(engine.url, error) from None
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
        named = _named(engine.url, error)
        if named is None:
            raise
        raise named from error


def _named(url: URL, error: DBAPIError) -> DatabaseUnavailable | None:
    """What to raise in place of an error of an open connection, if it is a known condition."""
    condition = condition_of(error.orig)
    if condition is not None:
        return DatabaseRefused(condition, error.orig)
    if error.connection_invalidated:
        return DatabaseUnavailable(
            f"lost the connection to database {url.database!r} at {_place(url)} "
            f"({_reason(url, error)}); check that it is up, then run this again"
        )
    return None


def unavailable(url: URL, error: DBAPIError) -> DatabaseUnavailable:
    """What to raise when a connection cannot be opened; without a password."""
    condition = condition_of(error.orig)
    if condition is not None:
        where = f"cannot use database {url.database!r} at {_place(url)}: "
        return DatabaseRefused(condition, error.orig, where=where)
    return DatabaseUnavailable(
        f"cannot reach database {url.database!r} at {_place(url)} ({_reason(url, error)}); start "
        "it, or correct PIMS_DATABASE_URL, for the API PIMS_API_DATABASE_URL (without both, an "
        "embedded database is used)"
    )


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "the default socket"
    hosts = host if isinstance(host, str) else ", ".join(host)
    return f"{hosts}:{url.port}" if url.port else hosts


def _reason(url: URL, error: DBAPIError) -> str:
    """The first line of what the driver says."""
    lines = [line.strip() for line in str(error.orig or "").splitlines() if line.strip()]
    reason = lines[0].removesuffix(".") if lines else type(error.orig).__name__
    password = url.password
    return reason.replace(password, "***") if isinstance(password, str) and password else reason


def lock_clinic(connection: Connection, clinic_id: UUID) -> None:
    """Wait until no other transaction writes the clinic's windows; hold that till the end."""
    # The ids are random, so four of their bytes tell clinics apart; two that share them
    # would merely wait for each other.
    key = int.from_bytes(clinic_id.bytes[:4], signed=True)
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:kind, :key)"), {"kind": CLINIC_LOCK, "key": key}
    )


def _alembic_config() -> Config:
    config = Config()
    # A percent sign in a path would be taken for an interpolation.
    migrations = str(Path(__file__).parents[1] / "migrations").replace("%", "%%")
    config.set_main_option("script_location", migrations)
    config.set_main_option("path_separator", "os")
    return config


def _revisions(connection: Connection) -> tuple[set[str], set[str]]:
    """The revisions the database stands at, and those it should stand at."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    script = ScriptDirectory.from_config(_alembic_config())
    return set(context.get_current_heads()), set(script.get_heads())


def migrate(engine: Engine) -> list[str]:
    """Bring the tables up to date, in one transaction. Processes that do so at once queue.

    Returns:
        The revisions applied, oldest first; empty when there was nothing to do.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If this program does not know the revision that the tables stand at.
    """
    applied: list[str] = []

    def note(step: MigrationInfo, **_: Any) -> None:
        applied.extend(revision for revision in step.up_revision_ids)

    config = _alembic_config()
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        # A large table takes its time.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": MIGRATION_LOCK})
        _check_known(connection)
        config.attributes.update(connection=connection, on_version_apply=note)
        command.upgrade(config, "head")
    return applied


def _check_known(connection: Connection) -> None:
    standing, _ = _revisions(connection)
    script = ScriptDirectory.from_config(_alembic_config())
    known = {each.revision for each in script.walk_revisions()}
    if (problem := unknown_revision_problem(standing, known)) is not None:
        raise DatabaseNotMigrated(problem)


def check_migrated(engine: Engine) -> None:
    """Make sure that the tables are this program's.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If revisions are missing, or the tables are a newer program's.
    """
    with transaction(engine) as connection:
        standing, wanted = _revisions(connection)
    if standing != wanted:
        at = ", ".join(sorted(standing)) or "no revision"
        raise DatabaseNotMigrated(
            f"the database stands at {at} and this program needs {', '.join(sorted(wanted))}; "
            "run `pims migrate`"
        )


def dagster_storage_url(url: str) -> str:
    """The address of Dagster's own storage in the same database.

    Dagster's storage works on psycopg2 alone, and keeps an Alembic table of the same name
    as anybody's; its tables therefore live in a schema of their own, chosen by
    ``search_path`` in the address.

    Args:
        url: As for ``create_engine``. The result carries its password.

    Raises:
        BadDatabaseUrl: If ``url`` is not PostgreSQL's.
    """
    address = parse_database_address(url)
    return address.as_text("postgresql+psycopg2", options=startup_options(DAGSTER_SCHEMA))


def ensure_dagster_schema(engine: Engine) -> None:
    """Create the schema that ``dagster_storage_url`` points into, if it is not there.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        # IF NOT EXISTS alone still collides when two processes create it at once.
        connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": MIGRATION_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
