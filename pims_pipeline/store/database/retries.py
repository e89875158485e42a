"""Retry transactions after a temporary failure of the database.

After a deadlock, a serialization failure or a lost connection the whole transaction is repeated a
few times, from fresh rows: its former decisions may be wrong by now. A lock timeout is not retried:
its limit is the longest that we wait.
"""

from collections.abc import Callable
from typing import TypeVar

import psycopg
import stamina
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.errors import DatabaseRefused, DatabaseUnavailable, PoolExhausted

TRIES = 6
MOST_SECONDS = 30.0
"""No further try begins after this time."""

_LOSES = {"40001": "serialization failure", "40P01": "deadlock"}
_NO_CONNECTION = "08"

Done = TypeVar("Done")


class TransactionConflict(UserFacingError):
    """The database ended the transaction in favour of another session's, each time."""


def in_transaction(engine: Engine, work: Callable[[Connection], Done]) -> Done:
    """Do ``work`` in a transaction that is committed; returns its result.

    Args:
        engine: On the database of cases.
        work: May be called several times, each time in a new transaction. When the connection
            was lost during the commit, its work may have been done already: it must return
            the same result from rows that hold that work.

    Raises:
        DatabaseUnavailable: If the database cannot be reached for that long.
        LockTimeout: If another session holds a lock for too long.
        TransactionConflict: If the transaction met another session's each time.
    """
    try:
        for attempt in stamina.retry_context(
            on=passes,
            attempts=TRIES,
            timeout=MOST_SECONDS,
            wait_initial=0.1,
            wait_max=5,
            wait_jitter=0.5,
        ):
            with attempt, transaction(engine) as connection:
                return work(connection)
    except DBAPIError as error:
        code = _code(error)
        if code is None or code not in _LOSES:
            raise
        raise TransactionConflict(
            f"the database ended the transaction {TRIES} times in favour of another session's "
            f"({_LOSES[code]}, {code}); nothing was written; find out which program changes the "
            "same rows over and over, and try again"
        ) from None
    raise AssertionError("stamina yields at least one attempt")


def passes(error: Exception) -> bool:
    """Whether the same transaction may succeed shortly after."""
    if isinstance(error, PoolExhausted):
        # The wait for a connection had its own limit.
        return False
    if isinstance(error, DatabaseRefused):
        return error.passes
    code = _code(error)
    if code is None:
        # A connection that cannot be opened, or breaks, seldom has a code.
        return isinstance(error, DatabaseUnavailable)
    return code in _LOSES or code.startswith(_NO_CONNECTION)


def _code(error: BaseException | None) -> str | None:
    """The SQLSTATE that the server gave, if it gave one."""
    while error is not None:
        original = error.orig if isinstance(error, DBAPIError) else None
        if isinstance(original, psycopg.Error):
            return original.sqlstate
        error = error.__cause__ or error.__context__
    return None
