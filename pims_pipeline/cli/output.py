"""How results are printed: tables for people, one JSON document for programs.

Results go to standard output, everything else to standard error.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table

_WIDE = 1000
"""Columns, where nobody reads along: programs must get whole values."""


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table on standard output, or on standard error that it would be empty."""
    table = table_of(headings, rows)
    if not table.row_count:
        click.echo(empty, err=True)
        return
    results_console().print(table)


def results_console() -> Console:
    """Standard output as wide as it is; wide enough for everything where it is no terminal."""
    width = None if sys.stdout.isatty() else _WIDE
    # Names hold brackets at times; they are no markup.
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """The table as the terminal shows it."""
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, roughly, such as ``3 h ago``; both aware."""
    if moment is None:
        return "never"
    seconds = max(timedelta(), now - moment).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
