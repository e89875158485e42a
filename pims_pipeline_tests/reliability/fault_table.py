"""The tables of docs/reliability.md: tests compare them with what they find, or write them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
COLUMNS = (
    "fault",
    "inbound: the listing",
    "cases: a consultation",
    "reconciliation: the listing",
    "reconciliation: a look-up",
    "deleted in error",
    "records lost",
)
Rows = Mapping[str, Sequence[str]]


def _between(table: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- begin {table} -->\n).*?(<!-- end {table} -->)", re.DOTALL)


def rows_of(table: str) -> dict[str, list[str]]:
    """The table's rows in the page: the first cell to the others."""
    found = _between(table).search(PAGE.read_text(encoding="utf-8"))
    lines = found[0].splitlines()[3:-1] if found else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def write(table: str, rows: Rows, columns: Sequence[str] = COLUMNS) -> None:
    """Replace the table's rows."""
    lines = [columns, ["---"] * len(columns), *([name, *cells] for name, cells in rows.items())]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    page = _between(table).sub(lambda found: found[1] + text + found[2], PAGE.read_text("utf-8"))
    PAGE.write_text(page, encoding="utf-8")
