"""What the demonstration looks like: on a terminal alive, elsewhere in plain lines.

Shows what it is given. Reading and judging it is done in ``demo``.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pims_pipeline.cli.demo.clinics import DemoClinic
from pims_pipeline.cli.terminal.progress import ReadAudits
from pims_pipeline.cli.terminal.streams import console_on, duplicate
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.observability.printable import printable
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.queries.case_history import CaseHistory, StoredEvent

log = get_logger(__name__)

_PLAIN_WIDTH = 120
"""Columns, where no terminal says how many there are."""
_MOST_FIELDS = 3
_MOST_CHARACTERS = 26
PHASE_WORDS: Mapping[Phase, str] = {
    Phase.INBOUND: "calendar → cases",
    Phase.CASES: "consultations",
    Phase.RECONCILIATION: "reconciliation",
}
SHOWN_COUNTS: Mapping[Phase, Sequence[tuple[str, str]]] = {
    Phase.INBOUND: (
        ("found", "found"),
        ("created", "new"),
        ("updated", "changed"),
        ("restored", "restored"),
    ),
    Phase.CASES: (("enriched", "written"), ("errored", "failed")),
    Phase.RECONCILIATION: (("found", "checked"), ("deleted", "retired"), ("held", "held")),
}


@contextmanager
def stage(log_file: Path) -> Iterator[Console]:
    """A console on standard output, alone; all else that is written goes to ``log_file``.

    Dagster takes a run's standard output and error for itself and repeats them, and libraries
    write where they like: file descriptors are what all of them have in common.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(log_file.open("ab"))
        terminal = stack.enter_context(duplicate(sys.stdout))
        for stream in (sys.stdout, sys.stderr):
            stack.enter_context(_led_to(stream, file.fileno()))
        size = None if terminal.isatty() else _PLAIN_WIDTH
        yield console_on(terminal, width=size)


@contextmanager
def _led_to(stream: TextIO, target: int) -> Iterator[None]:
    """Within, what is written to the stream's descriptor goes to another."""
    stream.flush()
    descriptor = stream.fileno()
    before = os.dup(descriptor)
    os.dup2(target, descriptor)
    try:
        yield
    finally:
        stream.flush()
        os.dup2(before, descriptor)
        os.close(before)


@contextmanager
def waiting(console: Console, text: str) -> Iterator[None]:
    """Say that something takes its time, for as long as the block runs; on terminals alone."""
    spinner = Spinner("dots", text, style="cyan")
    with _alive(console, lambda: spinner, transient=True):
        yield


def _alive(console: Console, draw: Callable[[], RenderableType], *, transient: bool) -> Live:
    return Live(
        get_renderable=draw,
        console=console,
        transient=transient,
        refresh_per_second=8,
        # Both lead to the log file.
        redirect_stdout=False,
        redirect_stderr=False,
    )


@contextmanager
def run_progress(
    console: Console,
    clinics: Sequence[DemoClinic],
    phases: Sequence[Phase],
    read: ReadAudits,
) -> Iterator[None]:
    """Show a run's phases at each clinic while the block runs; off a terminal, at its end.

    Args:
        console: Where.
        clinics: One row each.
        phases: One column each.
        read: Gives the run's audits; called from another thread, a few times a second.
    """
    board = _Board(clinics, phases, read)
    console.print()
    with _alive(console, board.draw, transient=False):
        yield
    # Off a terminal, the last line of the table is still open.
    console.print(end="\n" if console.is_terminal else "\n\n")


class _Board:
    """The table of a run's phases at each clinic, drawn again from its audits."""

    def __init__(
        self, clinics: Sequence[DemoClinic], phases: Sequence[Phase], read: ReadAudits
    ) -> None:
        self._clinics = clinics
        self._phases = phases
        self._read = read
        # One for all, so that they turn together.
        self._spinner = Spinner("dots", style="cyan")

    def draw(self) -> RenderableType:
        try:
            audits = self._read()
        except DatabaseUnavailable:
            # The run meets the same trouble, and tells it.
            log.debug("progress_unknown", exc_info=True)
            audits = ()
        found = {(audit.clinic_id, audit.sync_type): audit for audit in audits}
        table = _table("Clinic", *(PHASE_WORDS[phase] for phase in self._phases))
        for demo in self._clinics:
            cells = (
                self._cell(phase, found.get((demo.clinic.id, phase))) for phase in self._phases
            )
            table.add_row(demo.clinic.slug, *cells)
        return Padding(table, (0, 0, 0, 2), expand=False)

    def _cell(self, phase: Phase, audit: Audit | None) -> RenderableType:
        if audit is None:
            return Text("·", style="dim")
        if audit.status is AuditStatus.COMPLETED:
            return Text.assemble(("✔ ", "green"), counted(phase, audit.counts))
        if audit.status is not AuditStatus.IN_PROGRESS:
            return Text(f"✘ {audit.status.value}", style="red")
        if not audit.items_total:
            return self._spinner
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=audit.items_total, completed=audit.items_done, width=14)
        line.add_row(self._spinner, bar, f"{audit.items_done}/{audit.items_total}")
        return line


def counted(phase: Phase, counts: Counts) -> str:
    """A phase's counts that say something, in words; the first one always."""
    shown = [(getattr(counts, name), word) for name, word in SHOWN_COUNTS[phase]]
    first, *rest = shown
    return ", ".join(f"{number} {word}" for number, word in (first, *(r for r in rest if r[0])))


def heading(console: Console, text: str) -> None:
    """The beginning of a part."""
    console.print()
    console.print(Text(text, style="bold"))


def say(console: Console, text: str, *, mark: str = " ", style: str = "") -> None:
    """One line; brackets in ``text`` are no markup."""
    console.print(Text.assemble("  ", (f"{mark} ", style), text), soft_wrap=True)


def show_table(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str | RenderableType]]
) -> None:
    """A table, indented; names that hold brackets are no markup."""
    table = _table(*headings)
    for row in rows:
        table.add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    console.print()


def _table(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    return table


@dataclass(frozen=True, slots=True)
class ToldChange:
    """An event of a case's story, with what was done at the vendor's that led to it."""

    cause: str
    story: CaseHistory
    event: StoredEvent


def show_changes(console: Console, changes: Sequence[ToldChange]) -> None:
    """A table of events: what was done, what became of it, and where that came from."""
    table = Table(
        "At the vendor's",
        "In our case: before → after",
        "Cause",
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 1, 0),
    )
    for change in changes:
        story, event = change.story, change.event
        done = Text.assemble(printable(story.patient_name), (f"\n{change.cause}", "dim"))
        lines = "".join(f"\n{line}" for line in fields(event.changes, ZoneInfo(story.timezone)))
        made = Text.assemble((event.kind.replace("_", " "), "bold"), lines)
        table.add_row(done, made, Text("\n".join(_cause(change)), style="dim", no_wrap=True))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _short(identity: UUID | str) -> str:
    return str(identity)[:8]


def _cause(change: ToldChange) -> Iterator[str]:
    event = change.event
    yield event.partition_key
    record = f", record {_short(event.source_digest)}" if event.source_digest else ""
    yield f"run {_short(event.run_id)}{record}"
    yield f"case {_short(change.story.id)}, {event.occurred_at.astimezone(UTC):%H:%M:%S}Z"


def fields(changes: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    """An event's changes, one line each, the less telling ones counted.

    Args:
        changes: Field by field, before and after.
        zone: The clinic's; moments are shown in it.
    """
    ordered = sorted(changes.items(), key=lambda change: _rank(change[0]))
    told = [line for name, pair in ordered for line in _told(name, pair, zone, changes)]
    if len(told) <= _MOST_FIELDS:
        return told
    return [*told[: _MOST_FIELDS - 1], f"and {len(told) - _MOST_FIELDS + 1} more"]


_TELLING = (
    "scheduled_start",
    "status",
    "appointment.status",
    "softDeleted",
    "consultation.soapNotes",
    "consultation.vitals",
    "consultation.diagnoses",
)
"""The fields that say most, first things first."""


def _rank(name: str) -> int:
    return _TELLING.index(name) if name in _TELLING else len(_TELLING)


_IMPLIED = {
    "scheduled_end": "scheduled_start",
    "scheduled_date": "scheduled_start",
    "consultation.notes": "consultation.soapNotes",
}
"""Fields that say nothing new beside another one."""


def _told(
    name: str, pair: Sequence[Any], zone: ZoneInfo, changes: Mapping[str, Any]
) -> Iterator[str]:
    before, after = pair
    if _IMPLIED.get(name) in changes or _blank(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in after:
            if before.get(key) != after[key]:
                yield from _told(f"{name}.{key}", (before.get(key), after[key]), zone, changes)
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
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
    return f"{moment.astimezone(zone):%a %d %b %H:%M}" if moment.tzinfo else text
