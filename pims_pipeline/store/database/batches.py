"""Many rows: written as arrays that the server unnests, read through a cursor.

Arrays need neither temporary tables nor prepared statements, so they work through a
transaction-mode pooler, and they cost one round trip per few thousand rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Connection, Row, text

ROWS_PER_STATEMENT = 5_000
"""Bounds the memory of one statement on both sides; more rows gain no speed."""
ROWS_PER_FETCH = 1_000

Columns = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""By name: the column's Postgres type, and how to get its value from an item."""


def execute_batches(
    connection: Connection,
    statement: str,
    columns: Columns,
    items: Iterable[Any],
    parameters: Mapping[str, Any],
) -> int:
    """Run ``statement`` for all ``items``, a few thousand at a time.

    Args:
        connection: In a transaction that the caller commits.
        statement: SQL holding ``{rows}`` in place of the unnested rows, named ``r``.
        columns: What each row holds.
        items: Where the rows come from.
        parameters: The statement's other parameters.

    Returns:
        How many rows the statement touched.
    """
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, (kind, _) in columns.items())
    rows = f"unnest({arrays}) AS r({', '.join(columns)})"
    prepared = text(statement.format(rows=rows))
    return sum(
        connection.execute(prepared, {**parameters, **batch}).rowcount
        for batch in _batches(columns, items)
    )


def _batches(columns: Columns, items: Iterable[Any]) -> Iterator[dict[str, str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, ROWS_PER_STATEMENT)):
        yield {name: array_literal(map(read, chunk)) for name, (_, read) in columns.items()}


def array_literal(values: Iterable[Any]) -> str:
    """The values as a Postgres array literal.

    Written here because the driver's own dumper runs a regular expression over every
    byte, which made it the slowest step of a sync.

    Example:
        ``CAST(:pims_ids AS text[])`` with ``pims_ids=array_literal(["1", None])``.
    """
    words = [value if value is None or isinstance(value, str) else str(value) for value in values]
    if words and None not in words:
        # One call for the whole column, if no value needs more than quotes.
        joined = '","'.join(cast("list[str]", words))
        if "\\" not in joined and joined.count('"') == 2 * (len(words) - 1):
            return f'{{"{joined}"}}'
    return "{" + ",".join(["NULL" if word is None else _quoted(word) for word in words]) + "}"


def _quoted(value: str) -> str:
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def streamed(
    connection: Connection, query: str, parameters: Mapping[str, Any]
) -> Iterator[Row[Any]]:
    """The rows of a query, a thousand at a time, so that a hundred thousand take little memory.

    The cursor is declared by a statement and ends with the transaction, so it works through a
    pooler in transaction mode, and all rows are those of one moment. The query runs when the first
    row is read. Other statements may be executed between two rows.
    """
    name = f"pims_rows_{uuid4().hex}"
    connection.execute(text(f"DECLARE {name} NO SCROLL CURSOR FOR {query}"), parameters)
    fetch = text(f"FETCH {ROWS_PER_FETCH} FROM {name}")
    while rows := connection.execute(fetch).all():
        yield from rows
    connection.execute(text(f"CLOSE {name}"))
