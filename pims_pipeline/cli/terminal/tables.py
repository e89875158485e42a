"""Tables on standard output. The streams themselves, and JSON documents, belong in ``streams``."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from pims_pipeline.cli.terminal.streams import results_console, say, written_out
from pims_pipeline.observability.printable import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table on standard output; without rows, print ``empty`` on standard error."""
    table = table_of(headings, rows)
    if not table.row_count:
        say(empty, err=True)
        return
    with written_out():
        results_console().print(table)


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """The table for a terminal; cells may hold any text, which is escaped."""
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    return table


def age(since: datetime | None, now: datetime) -> str:
    """The time from ``since`` to ``now`` in one unit, such as ``3 h ago``; both aware."""
    if since is None:
        return "never"
    seconds = max(timedelta(), now - since).total_seconds()

    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def words_of(name: str) -> str:
    """A field's name as a person reads it.

    Example:
        >>> words_of("left_out"), words_of("syncedHere")
        ('left out', 'synced here')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
