"""Our advisory locks, and how long a transaction waits for any lock of another session.

The limit is set inside each transaction, so that it holds through a pooler. It covers rows,
tables and advisory locks. A wait that reaches it ends in ``LockTimeout``, which names what is
locked and, where the server shows it, the session that holds it: never that session's query,
which may quote personal data.
"""

import re
from collections.abc import Mapping
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.errors import UserFacingError

CLINIC_LOCK = 1
MIGRATION_LOCK = 4
ALERTS_LOCK = 5
DECISIONS_LOCK = 6
_LOCKED: Mapping[int, str] = {
    CLINIC_LOCK: "writing to this clinic",
    MIGRATION_LOCK: "making the tables",
    ALERTS_LOCK: "working on alerts",
    DECISIONS_LOCK: "deciding at this clinic",
}
"""What each kind of advisory lock protects."""

MIGRATION_LOCK_SECONDS = 300.0
"""Another process may be migrating, which takes long."""

DEFAULT_LOCK_SECONDS = 10.0
LOCK_OPTION = "pims_lock_seconds"
"""The engine's execution option that holds its limit, in seconds."""

_LOCK_NOT_AVAILABLE = "55P03"
_ADVISORY = "pg_advisory_xact_lock"
_RELATION = re.compile(r'relation "([^"]+)"')


class LockTimeout(UserFacingError):
    """Another session holds a lock for longer than we wait for it; nothing was written."""


def lock_clinic(connection: Connection, clinic_id: UUID) -> None:
    """Lock the clinic's windows against other writers until the transaction ends."""
    _lock_of_clinic(connection, CLINIC_LOCK, clinic_id)


def lock_decisions(connection: Connection, clinic_id: UUID) -> None:
    """Let operators decide one after the other at the clinic until the transaction ends."""
    _lock_of_clinic(connection, DECISIONS_LOCK, clinic_id)


def _lock_of_clinic(connection: Connection, kind: int, clinic_id: UUID) -> None:
    # The ids are random, so four of their bytes distinguish clinics; two that share them
    # would only wait for each other.
    key = int.from_bytes(clinic_id.bytes[:4], signed=True)
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:kind, :key)"), {"kind": kind, "key": key}
    )


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a statement was ended because its wait for a lock reached the limit."""
    original = error.orig
    return isinstance(original, psycopg.Error) and original.sqlstate == _LOCK_NOT_AVAILABLE


def lock_timeout(connection: Connection, error: DBAPIError, seconds: float) -> LockTimeout:
    """What to raise for ``error``: which lock it was, who holds it, and what to do.

    Args:
        connection: Whose transaction was rolled back; used to read who holds the lock.
        error: As ``is_lock_timeout`` recognizes it.
        seconds: The limit that was reached.
    """
    what, holder = _what_and_holder(connection, error)
    if holder is None:
        who, remedy = "another session", "try again"
    else:
        name = f" ({holder.application_name})" if holder.application_name else ""
        who = f"session {holder.pid}{name}"
        remedy = f"end its transaction (SELECT pg_terminate_backend({holder.pid})) and try again"
    return LockTimeout(
        f"{what} is locked by {who} of the database for more than {seconds:g} seconds; nothing "
        f"was written; {remedy}, or raise PIMS_LOCK_TIMEOUT_SECONDS"
    )


def _what_and_holder(connection: Connection, error: DBAPIError) -> tuple[str, Row[int, str] | None]:
    params = error.params
    if error.statement and _ADVISORY in error.statement and isinstance(params, Mapping):
        kind, key = params["kind"], params.get("key", 0)
        what = _LOCKED.get(kind, "something")
        return what, _holder(connection, _ADVISORY_HOLDER, kind=kind, key=key)
    original = error.orig
    context = original.diag.context if isinstance(original, psycopg.Error) else None
    found = _RELATION.search(context or "")
    if found is None:
        return "a table", None
    table = _table(connection, found[1])
    return f"table {table}", _holder(connection, _RELATION_HOLDER, relation=table)


def _holder(connection: Connection, query: str, **of: object) -> Row[int, str] | None:
    """The oldest session that holds it; None when none does by now, or we may not read it."""
    try:
        with connection.begin():
            return connection.execute(text(query), of).first()
    except DBAPIError:
        return None


def _table(connection: Connection, relation: str) -> str:
    """The table itself, where ``relation`` is one of its indexes."""
    try:
        with connection.begin():
            name = connection.scalar(text(_TABLE_OF), {"relation": relation})
    except DBAPIError:
        name = None
    return str(name or relation)


_TABLE_OF = """
    SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE indexrelid = to_regclass(quote_ident(:relation))
"""

_RELATION_HOLDER = """
    SELECT session.pid, session.application_name
    FROM pg_locks AS lock JOIN pg_stat_activity AS session USING (pid)
    WHERE lock.granted AND lock.mode <> 'AccessShareLock' AND lock.pid <> pg_backend_pid()
        AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND lock.relation = to_regclass(quote_ident(:relation))
    ORDER BY session.xact_start NULLS LAST LIMIT 1
"""

_ADVISORY_HOLDER = """
    SELECT session.pid, session.application_name
    FROM pg_locks AS lock JOIN pg_stat_activity AS session USING (pid)
    WHERE lock.granted AND lock.locktype = 'advisory' AND lock.pid <> pg_backend_pid()
        AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND lock.classid::bigint = :kind AND lock.objid::bigint = :key & 4294967295
    ORDER BY session.xact_start NULLS LAST LIMIT 1
"""
