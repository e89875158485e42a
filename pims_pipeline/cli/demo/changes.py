"""The demonstration's table of case events: the edit, the change of the case, and the cause."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pims_pipeline.observability.printable import printable
from pims_pipeline.store.queries.case_history import CaseHistory, StoredEvent

_MOST_FIELDS = 3
_MOST_CHARACTERS = 26


@dataclass(frozen=True, slots=True)
class CausedChange:
    """An event of a case history.

    Attributes:
        cause: The edit of the vendor's calendar that led to it.
    """

    cause: str
    history: CaseHistory
    event: StoredEvent


def show_changes(console: Console, changes: Sequence[CausedChange]) -> None:
    """Print the table of events."""
    table = Table(
        "At the vendor",
        "In our case: before → after",
        "Cause",
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 1, 0),
    )
    for change in changes:
        history, event = change.history, change.event
        edit = Text.assemble(printable(history.patient_name), (f"\n{change.cause}", "dim"))
        lines = "".join(f"\n{line}" for line in fields(event.changes, ZoneInfo(history.timezone)))
        result = Text.assemble((event.kind.replace("_", " "), "bold"), lines)
        table.add_row(edit, result, Text("\n".join(_cause(change)), style="dim", no_wrap=True))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _short(identity: UUID | str) -> str:
    return str(identity)[:8]


def _cause(change: CausedChange) -> Iterator[str]:
    event = change.event
    yield event.partition_key
    record = f", record {_short(event.source_digest)}" if event.source_digest else ""
    yield f"run {_short(event.run_id)}{record}"
    yield f"case {_short(change.history.id)}, {event.occurred_at.astimezone(UTC):%H:%M:%S}Z"


def fields(changes: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    """An event's most important changes, one line each, and the number of the others.

    Args:
        changes: The values before and after, by field.
        zone: The clinic's time zone, in which times are shown.
    """
    ordered = sorted(changes.items(), key=lambda change: _rank(change[0]))
    lines = [line for name, pair in ordered for line in _lines(name, pair, zone, changes)]
    if len(lines) <= _MOST_FIELDS:
        return lines
    return [*lines[: _MOST_FIELDS - 1], f"and {len(lines) - _MOST_FIELDS + 1} more"]


_IMPORTANT = (
    "scheduled_start",
    "status",
    "appointment.status",
    "softDeleted",
    "consultation.soapNotes",
    "consultation.vitals",
    "consultation.diagnoses",
)
"""The most important fields, in the order in which they are shown."""


def _rank(name: str) -> int:
    return _IMPORTANT.index(name) if name in _IMPORTANT else len(_IMPORTANT)


_IMPLIED = {
    "scheduled_end": "scheduled_start",
    "scheduled_date": "scheduled_start",
    "consultation.notes": "consultation.soapNotes",
}
"""Fields that are left out if the other field is shown."""


def _lines(
    name: str, pair: Sequence[Any], zone: ZoneInfo, changes: Mapping[str, Any]
) -> Iterator[str]:
    before, after = pair
    if _IMPLIED.get(name) in changes or _blank(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in after:
            if before.get(key) != after[key]:
                yield from _lines(f"{name}.{key}", (before.get(key), after[key]), zone, changes)
        return
    shown = name.removeprefix("consultation.").replace("appointment.", "vendor's ")
    shown = shown.replace("soapNotes", "notes").replace("_", " ")
    if before is None:
        yield f"{shown}: {_value(after, zone)}"
    else:
        yield f"{shown}: {_value(before, zone)} → {_value(after, zone)}"


def _blank(before: object, after: object) -> bool:
    return not before and not after and not isinstance(before, bool)


def _value(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(str(key) for key, each in value.items() if each) or "none"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} of them" if value else "none"
    text = printable(" ".join(str(value).split()))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
    return f"{time.astimezone(zone):%a %d %b %H:%M}" if time.tzinfo else text
