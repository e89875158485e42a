"""Cancel the statements of a run that was stopped: they may be waiting for another's lock.

A thread that waits for a statement checks nothing else, so the server has to end it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from pims_pipeline.store.database.errors import DatabaseUnavailable

_CANCEL_SECONDS = 1.0
"""For each connection; the statement's own limits hold for one that cannot be reached."""


@contextmanager
def cancellable(engine: Engine) -> Iterator[Callable[[], None]]:
    """Yields a function that cancels the statements on connections taken within the block.

    A cancelled statement raises in its own thread; its transaction is rolled back. Idle
    connections are not affected.
    """
    lent: set[object] = set()
    lock = Lock()

    def note(connection: object, *_: object) -> None:
        with lock:
            lent.add(connection)

    def forget(connection: object, *_: object) -> None:
        with lock:
            lent.discard(connection)

    def cancel() -> None:
        with lock:
            under_way = list(lent)
        for connection in under_way:
            if isinstance(connection, psycopg.Connection):
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCEL_SECONDS)

    event.listen(engine, "checkout", note)
    event.listen(engine, "checkin", forget)
    try:
        yield cancel
    finally:
        event.remove(engine, "checkout", note)
        event.remove(engine, "checkin", forget)


def past_cancel(work: Callable[[], None]) -> None:
    """Do ``work``, and once more if the cancellation hit its own statement.

    Args:
        work: Whole transactions.

    Raises:
        DBAPIError, DatabaseUnavailable: If the second time fails too.
    """
    try:
        work()
    except (DBAPIError, DatabaseUnavailable):
        work()
