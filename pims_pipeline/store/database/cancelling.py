"""Ending the statements of a run that was stopped: they may be waiting for another's lock.

A thread in the midst of a statement looks at nothing else, so the server is asked to end it.
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
    """Gives what ends the statements under way on connections taken within the block.

    A statement that is ended raises in its own thread, as if it had failed; its transaction is
    rolled back. Connections at rest are not affected.
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
    """Do ``work``, and once more if the end of statements under way met its own.

    Args:
        work: Whole transactions.

    Raises:
        DBAPIError, DatabaseUnavailable: If the second time fails too.
    """
    try:
        work()
    except (DBAPIError, DatabaseUnavailable):
        work()
