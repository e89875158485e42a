"""The sessions of Dagster's storage: their settings, and a refusal of poolers that share sessions.

The settings of a role or a database must not reach Dagster's statements. They are set when a
connection is open, in one statement, because poolers refuse or drop options at its start. That
works directly and through a pooler in session mode. A pooler in transaction mode would hand the
settings to its other clients: it is recognized by a mark that a former session left.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.session_settings import STATEMENT_SECONDS, dagster_settings

_MARK = "pims.dagster_session"
_READ = text("SELECT pg_backend_pid(), current_setting(:name, true)")
_REAL_PID = "pims.backend_pid"
_checked: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class SharedSessions(UserFacingError):
    """A pooler in transaction mode is in front of Dagster's storage."""

    def __init__(self) -> None:
        super().__init__(
            "Dagster's storage is reached through a pooler in transaction mode, which mixes the "
            "sessions of its clients; set DAGSTER_POSTGRES_URL to the pooler's session mode "
            "(Supabase: port 5432), or to a direct connection"
        )


class DagsterSessions:
    """Sets the settings of each new connection; a listener for the pool's event ``connect``.

    Args:
        schema: Where Dagster's tables are; None for the role's own ``search_path``.
        statement_seconds: The longest that a statement may take.
    """

    def __init__(self, schema: str | None, statement_seconds: float = STATEMENT_SECONDS) -> None:
        self._schema = schema
        self._statement_seconds = statement_seconds

    def __call__(self, _opened: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Set the settings.

        Raises:
            SharedSessions: If the session was another client's before.
        """
        driver: Any = record.driver_connection
        if not type(driver).__module__.startswith("psycopg2"):
            return
        settings = dagster_settings(
            self._schema,
            statement_seconds=self._statement_seconds,
            server_version=driver.server_version,
        )
        driver.autocommit = True
        with driver.cursor() as cursor:
            # A select list is evaluated from left to right: the mark is read before it is set.
            calls = ", set_config(%s, %s, false)" * (len(settings) + 1)
            pairs = [part for pair in (*settings.items(), (_MARK, "1")) for part in pair]
            cursor.execute(
                f"SELECT pg_backend_pid(), current_setting(%s, true){calls}", [_MARK, *pairs]
            )
            pid, mark, *_ = cursor.fetchone()
            record.info[_REAL_PID] = pid
            if mark:
                cursor.execute("RESET ALL")
                driver.close()
                raise SharedSessions


def check_sessions(engine: Engine) -> None:
    """Make sure, once for each engine, that its connections have sessions of their own.

    A direct connection costs nothing. Behind a pooler, the connection is opened again: what the
    former session has set must be gone.

    Raises:
        SharedSessions: If it has not.
    """
    if engine in _checked:
        return
    with engine.connect() as connection:
        pooled = _is_pooled(connection)
        if pooled and not _is_as_opened(connection):
            raise SharedSessions
    if pooled:
        engine.dispose()
        engine.connect().close()
    _checked.add(engine)


def _is_pooled(connection: Connection) -> bool:
    """Whether a pooler is in between: it hides the number of the server's process."""
    driver: Any = connection.connection.driver_connection
    return bool(connection.info[_REAL_PID] != driver.info.backend_pid)


def _is_as_opened(connection: Connection) -> bool:
    """Whether the connection is still served by the same session, with what was set in it."""
    found = connection.execute(_READ, {"name": _MARK}).one()
    return tuple(found) == (connection.info[_REAL_PID], "1")


@contextmanager
def settled(sessions: DagsterSessions) -> Iterator[None]:
    """Set the settings of connections that Dagster opens with engines of its own, in the block."""
    event.listen(Pool, "connect", sessions)
    try:
        yield
    finally:
        event.remove(Pool, "connect", sessions)
