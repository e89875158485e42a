"""The demonstration's output: live on a terminal, elsewhere in plain lines.

Reads and checks belong in ``demonstration``.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

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

log = get_logger(__name__)

_PLAIN_WIDTH = 120
"""Columns where standard output is not a terminal."""
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
    """A console on standard output; everything else that is written goes to ``log_file``.

    The redirection is of file descriptors, because Dagster captures and repeats a run's standard
    output and error, and libraries write to either.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(log_file.open("ab"))
        terminal = stack.enter_context(duplicate(sys.stdout))
        for stream in (sys.stdout, sys.stderr):
            stack.enter_context(_redirected(stream, file.fileno()))
        width = None if terminal.isatty() else _PLAIN_WIDTH
        yield console_on(terminal, width=width)


@contextmanager
def _redirected(stream: TextIO, target: int) -> Iterator[None]:
    """Redirect the stream's descriptor to another for the duration of the block."""
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
    """Show a spinner with ``text`` while the block runs, on a terminal only."""
    spinner = Spinner("dots", text, style="cyan")
    with _live(console, lambda: spinner, transient=True):
        yield


def _live(console: Console, draw: Callable[[], RenderableType], *, transient: bool) -> Live:
    return Live(
        get_renderable=draw,
        console=console,
        transient=transient,
        refresh_per_second=8,
        # Both are redirected to the log file.
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
    """Show a run's phases at each clinic while the block runs; without a terminal, at its end.

    Args:
        console: The console to print on.
        clinics: One row each.
        phases: One column each.
        read: Returns the run's audits; called from another thread, a few times a second.
    """
    board = _Board(clinics, phases, read)
    console.print()
    with _live(console, board.draw, transient=False):
        yield
    # Without a terminal, the last line of the table has no line break yet.
    console.print(end="\n" if console.is_terminal else "\n\n")


class _Board:
    """The table of a run's phases at each clinic, drawn from its audits."""

    def __init__(
        self, clinics: Sequence[DemoClinic], phases: Sequence[Phase], read: ReadAudits
    ) -> None:
        self._clinics = clinics
        self._phases = phases
        self._read = read
        # One spinner for all cells, so that they turn together.
        self._spinner = Spinner("dots", style="cyan")

    def draw(self) -> RenderableType:
        try:
            audits = self._read()
        except DatabaseUnavailable:
            # The run fails with the same error and reports it.
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
    """A phase's counts in words: the first one, and the others that are not zero."""
    shown = [(getattr(counts, name), word) for name, word in SHOWN_COUNTS[phase]]
    first, *rest = shown
    return ", ".join(f"{number} {word}" for number, word in (first, *(r for r in rest if r[0])))


def heading(console: Console, text: str) -> None:
    """Print the heading of a part."""
    console.print()
    console.print(Text(text, style="bold"))


def say(console: Console, text: str, *, mark: str = " ", style: str = "") -> None:
    """Print one line; brackets in ``text`` are not markup."""
    console.print(Text.assemble("  ", (f"{mark} ", style), text), soft_wrap=True)


def show_table(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str | RenderableType]]
) -> None:
    """Print an indented table; brackets in names are not markup."""
    table = _table(*headings)
    for row in rows:
        table.add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    console.print()


def _table(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    return table
