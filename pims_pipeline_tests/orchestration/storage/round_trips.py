"""Counts what programs ask of the database: statements by kind and table, and connections."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+"?([a-z_.]+)"?')


def kind_of(statement: str) -> str:
    """The statement's verb and its first table.

    Example:
        >>> kind_of("SELECT 1 FROM cases AS c JOIN clinics USING (id)")
        'SELECT cases'
    """
    words = statement.split()
    verb = words[0].upper()
    if verb in {"NOTIFY", "LISTEN"}:
        return " ".join(words[:2]).rstrip(",")
    table = _TABLE.search(statement)
    return f"{verb} {table[1]}" if table else " ".join(words)[:60]


@contextmanager
def round_trips() -> Iterator[Counter[str]]:
    """Count during the block, in all threads and for all engines.

    Statements on Dagster's tables begin with ``dagster:``; ``connect`` are connections.
    """
    counts: Counter[str] = Counter()

    def note(connection: Connection, what: str) -> None:
        counts[f"dagster: {what}" if _is_dagsters(connection) else what] += 1

    def statement(connection: Connection, _cursor: object, sql: str, *_: object) -> None:
        note(connection, kind_of(sql))

    def begin(connection: Connection) -> None:
        if not _is_dagsters(connection) or _isolation(connection) not in {None, "AUTOCOMMIT"}:
            note(connection, "BEGIN")

    def end(connection: Connection) -> None:
        if not _is_dagsters(connection) or _isolation(connection) not in {None, "AUTOCOMMIT"}:
            note(connection, "COMMIT or ROLLBACK")

    def connect(opened: object, _record: object) -> None:
        dagsters = type(opened).__module__.startswith("psycopg2")
        counts["dagster: connect" if dagsters else "connect"] += 1

    listeners: list[tuple[str, Callable[..., Any]]] = [
        ("before_cursor_execute", statement),
        ("begin", begin),
        ("commit", end),
        ("rollback", end),
        ("connect", connect),
    ]
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield counts
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)


def _is_dagsters(connection: Connection) -> bool:
    return connection.dialect.driver == "psycopg2"


def _isolation(connection: Connection) -> object:
    return connection.get_execution_options().get("isolation_level")
