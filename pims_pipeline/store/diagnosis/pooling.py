"""Whether a pooler is between us and the server, and how it shares its connections.

No pooler says so. It is seen by the numbers of the server's processes: a pooler makes up the number
that a client gets at the start, and in transaction mode two clients meet in one process, or one
client meets several. No transaction is kept open for it, so a pool of one is no obstacle.
"""

from enum import StrEnum
from typing import Any

import psycopg
from sqlalchemy import Engine

from pims_pipeline.domain.addresses.parsing import parse_database_address
from pims_pipeline.store.database.engine import address_of

_Connection = psycopg.Connection[tuple[Any, ...]]
_ROUNDS = 4
_CONNECT_SECONDS = 5


class Pooling(StrEnum):
    """How connections to the database are shared."""

    NONE = "none"
    SESSION = "session"
    """Each client keeps a connection of the server: or a pooler that shows no sharing."""
    TRANSACTION = "transaction"
    UNKNOWN = "unknown"
    """A pooler that gave no second connection, so that its mode cannot be seen."""


def pooling_of(engine: Engine) -> Pooling:
    """How connections are shared at the engine's address; opens up to two.

    Raises:
        psycopg.Error: If the first cannot be opened, or breaks.
    """
    with _connected(engine) as first:
        if _process(first) == first.info.backend_pid:
            return Pooling.NONE
        try:
            with _connected(engine) as second:
                return _mode(first, second)
        except psycopg.Error:
            return Pooling.UNKNOWN


def _mode(first: _Connection, second: _Connection) -> Pooling:
    """How a pooler shares its connections between two clients."""
    mine, others = set[int](), set[int]()
    for _ in range(_ROUNDS):
        mine.add(_process(first))
        others.add(_process(second))
    is_shared = bool(mine & others) or max(len(mine), len(others)) > 1
    return Pooling.TRANSACTION if is_shared else Pooling.SESSION


def _connected(engine: Engine) -> _Connection:
    # Not from an engine: of its pool, a thread takes one connection at a time.
    address = parse_database_address(address_of(engine)).as_text("postgresql")
    return psycopg.connect(
        address,
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=_CONNECT_SECONDS,
    )


def _process(connection: _Connection) -> int:
    """The number of the server's process that executes the connection's next transaction."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return 0 if row is None else int(row[0])
