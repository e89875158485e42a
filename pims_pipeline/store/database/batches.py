"""Many rows in one statement: columns as arrays, unnested by the server.

Arrays need neither temporary tables nor prepared statements, so they work through a
transaction-mode pooler, and they cost one round trip per few thousand rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

from sqlalchemy import Connection, text

ROWS_PER_STATEMENT = 5_000
"""Bounds the memory of one statement on both sides; more rows gain no speed."""

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
