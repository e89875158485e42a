"""The way to the database: engine, transactions, locks, migrations, Dagster's schema.

``transaction()`` is the only place in the project that commits; ``single_statements()`` is for
looks of one statement, where there is nothing to keep together. What is read and written stands
in the modules named after each noun.

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
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    OperationalError,
    TimeoutError,  # noqa: A004 - the pool's; the builtin is not used here
)
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from pims_pipeline.domain.errors import Explained
from pims_pipeline.store.lock_limits import (
    DEFAULT_LOCK_SECONDS,
    LOCK_OPTION,
    is_lock_timeout,
    limit_lock_waits,
    lock_timeout,
)

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
_RESTS_SINCE = "pims.rests_since"
_POSTGRES_NAMES = frozenset({"postgres", "postgresql"})
_DATA_EXCEPTION = "22"


class BadDatabaseUrl(Explained, ValueError):
    """The text is not a PostgreSQL address. It is never shown: it may hold a password."""


class DatabaseUnavailable(Explained):
    """The database does not answer, or not us."""


class DatabaseNotMigrated(Explained):
    """The tables are not the ones that this version of the program works with."""


def _parsed(url: str, driver: str) -> URL:
    refusal = BadDatabaseUrl(
        "the database URL is not one of PostgreSQL; "
        "write postgresql://user:password@host:5432/database"
    )
    try:
        parsed = sqlalchemy.make_url(url)
    except (ArgumentError, ValueError):
        raise refusal from None
    if parsed.drivername.partition("+")[0] not in _POSTGRES_NAMES:
        raise refusal
    return parsed.set(drivername=f"postgresql+{driver}")


class PoolExhausted(DatabaseUnavailable):
    """No connection of this process became free in time."""


def create_engine(
    url: str,
    *,
    pool_size: int = 10,
    pool_timeout_seconds: float = _POOL_TIMEOUT_SECONDS,
    lock_seconds: float = DEFAULT_LOCK_SECONDS,
    trusted_seconds: float = 0,
) -> Engine:
    """An engine that speaks psycopg 3. Connects to nothing yet.

    Args:
        url: ``postgres://``, ``postgresql://`` or ``postgresql+psycopg://``.
        pool_size: The most connections at a time; whoever needs one more waits.
        pool_timeout_seconds: How long a thread waits for a connection to become free.
        lock_seconds: How long a transaction waits for another session's lock.
        trusted_seconds: How long after its last use a connection is taken to be alive, and is
            used without asking it. If it is not, that use fails as ``DatabaseUnavailable``.

    Raises:
        BadDatabaseUrl: If ``url`` is none of these.
    """
    engine = sqlalchemy.create_engine(
        _parsed(url, "psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=trusted_seconds == 0,
        pool_timeout=pool_timeout_seconds,
        execution_options={LOCK_OPTION: lock_seconds},
        # Statements fail with rows of people in hand; parameters must not reach the logs.
        hide_parameters=True,
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            # A network that forgets idle connections must not leave a statement waiting.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "application_name": "pims_pipeline",
        },
    )
    event.listen(engine, "handle_error", _leave_rows_out)
    if trusted_seconds:
        _ping_after_rest(engine, trusted_seconds)
    return engine


def _ping_after_rest(engine: Engine, seconds: float) -> None:
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
        except psycopg.Error as error:
            # The pool then opens another.
            raise DisconnectionError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", check)


def _leave_rows_out(context: ExceptionContext) -> None:
    """Reword a server's error without its DETAIL and CONTEXT, which quote the failing row."""
    shown, original = context.sqlalchemy_exception, context.original_exception
    if not isinstance(shown, DBAPIError) or not isinstance(original, psycopg.Error):
        return
    said = original.diag
    if said.sqlstate is None:
        return
    # A data exception quotes the value in its very first sentence.
    quotes = said.sqlstate.startswith(_DATA_EXCEPTION)
    sentence = "unacceptable value" if quotes else said.message_primary
    place = ".".join(filter(None, (said.table_name, said.column_name, said.constraint_name)))
    words = f"{sentence} [{said.sqlstate}{f' {place}' if place else ''}]"
    original.args = (words,)
    shown.args = (f"({type(original).__name__}) {words}",)


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
        try:
            with connection.begin():
                limit_lock_waits(connection, seconds)
                yield connection
        except DBAPIError as error:
            if is_lock_timeout(error):
                raise lock_timeout(connection, error, seconds, _LOCKED) from None
            raise


@contextmanager
def single_statements(engine: Engine) -> Iterator[Connection]:
    """A connection on which each statement is a transaction of its own.

    For one look at the database by many clients: it spares two of three ways there.

    Raises:
        DatabaseUnavailable: If the database cannot be reached, or goes away meanwhile.
    """
    with _connected(engine) as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


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
        if error.connection_invalidated:
            raise unavailable(engine.url, error) from None
        raise


def unavailable(url: URL, error: DBAPIError) -> DatabaseUnavailable:
    """What to raise when ``error`` says that the database does not answer; no password."""
    host = url.host or url.query.get("host") or "the default socket"
    where = f"{host}:{url.port}" if url.port else f"{host}"
    lines = [line.strip() for line in str(error.orig or "").splitlines() if line.strip()]
    reason = lines[0].removesuffix(".") if lines else type(error.orig).__name__
    password = url.password
    if isinstance(password, str) and password:
        reason = reason.replace(password, "***")
    return DatabaseUnavailable(
        f"cannot reach database {url.database!r} at {where} ({reason}); start it, "
        "or mend PIMS_DATABASE_URL, for the API PIMS_API_DATABASE_URL (without both, an embedded "
        "database is used)"
    )


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
    migrations = str(Path(__file__).parent / "migrations").replace("%", "%%")
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
    """
    applied: list[str] = []

    def note(step: MigrationInfo, **_: Any) -> None:
        applied.extend(revision for revision in step.up_revision_ids)

    config = _alembic_config()
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": MIGRATION_LOCK})
        config.attributes.update(connection=connection, on_version_apply=note)
        command.upgrade(config, "head")
    return applied


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
    parsed = _parsed(url, "psycopg2")
    given = parsed.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    options.append(f"-csearch_path={DAGSTER_SCHEMA}")
    changed = parsed.update_query_dict({"options": " ".join(options)})
    # SQLAlchemy writes a space as "+", which libpq's own tools take for a plus.
    return (
        changed.render_as_string(hide_password=False)
        .replace("+", "%20")
        .replace("%20psycopg2", "+psycopg2", 1)
    )


def ensure_dagster_schema(engine: Engine) -> None:
    """Create the schema that ``dagster_storage_url`` points into, if it is not there.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    with transaction(engine, lock_seconds=MIGRATION_LOCK_SECONDS) as connection:
        # IF NOT EXISTS alone still collides when two processes create it at once.
        connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": MIGRATION_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
