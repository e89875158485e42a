"""``pims status``: show the status of each clinic, once or repeatedly."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Event

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import clinic_filter, examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, results_console, say
from pims_pipeline.cli.terminal.tables import age, print_table, table_of
from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.status import StatusOverview, punctuality, status_overview
from pims_pipeline.scheduling.lateness import ScheduleStatus
from pims_pipeline.settings import Settings
from pims_pipeline.store.queries.clinic_status import ClinicState

_HEADINGS = [
    "Clinic",
    *map(str, Phase),
    *("Login", "Session", "Holds", "Open failures", "Dead letters", "Skipped"),
]
_NONE = "No clinic is registered; see `pims clinics add --help`."
_DEFAULT_SECONDS = 5


@click.command(
    cls=Command,
    epilog=examples(
        "pims status",
        "pims status --watch",
        "pims status --watch 30 --clinic riverbend",
        "pims status --json",
    ),
)
@clinic_filter
@click.option(
    "--watch",
    "seconds",
    type=click.FloatRange(min=0.5),
    is_flag=False,
    flag_value=_DEFAULT_SECONDS,
    metavar="[SECONDS]",
    help=f"Refresh every SECONDS, {_DEFAULT_SECONDS} unless given, until Ctrl-C, which ends it "
    "with exit status 0. Not with --json.",
)
@json_option('`{"clinics": […], "clock": {"isWrong": …, "secondsAhead": …}, "timestamp": …}`')
@click.pass_obj
def status(settings: Settings, *, slug: str | None, seconds: float | None, as_json: bool) -> None:
    """Show the status of each clinic.

    For each phase: its last success, the result of a later sync that did not succeed, when it is
    due next, and whether it is late (two ticks have passed without a sync that completed or was
    held). For each clinic: the status of its login and session, the windows whose deletions wait
    for a decision (holds), the records that could not be read or fetched (open failures), those
    that only a person or a change at the vendor can resolve (dead letters), and the ticks that
    were skipped because a sync was still running.
    """
    if seconds is not None and as_json:
        raise click.UsageError(
            "--watch refreshes a table and --json prints one document; give one of them, "
            "and run the command with --json again for a newer document"
        )
    with open_store(settings) as store:
        seen = status_overview(store.engine, slug)
        if seen.clock.is_wrong:
            say(f"Warning: no sync starts here: {seen.clock.problem}", err=True)
        if seconds is not None:
            _watch(seen, lambda: status_overview(store.engine, slug), seconds)
            return
    if as_json:
        from pims_pipeline.wire.statuses import Statuses  # noqa: PLC0415 - a table needs no models

        punctual = partial(punctuality, now=seen.now)
        print_json(Statuses.of(seen.states, punctual, seen.clock, seen.now))
        return
    print_table(_HEADINGS, (_row(state, seen.now) for state in seen.states), empty=_NONE)


def _watch(seen: StatusOverview, read: Callable[[], StatusOverview], seconds: float) -> None:
    """Show the table, and again with what ``read`` returns, until Ctrl-C; then return.

    On a terminal the table is replaced; elsewhere one table follows the other.
    """
    console = results_console()
    pause = Event()
    with (
        suppress(KeyboardInterrupt),
        interruptible(),
        Live(console=console, auto_refresh=False) as live,
    ):
        while True:
            overview = _rendered(seen)
            if console.is_terminal:
                live.update(overview, refresh=True)
            else:
                console.print(overview)
            pause.wait(seconds)
            seen = read()


def _rendered(seen: StatusOverview) -> RenderableType:
    when = Text(f"{seen.now.astimezone():%H:%M:%S}, Ctrl-C ends", style="dim")
    if not seen.states:
        return Group(Text(_NONE), when)
    rows = (_row(state, seen.now) for state in seen.states)
    return Group(table_of(_HEADINGS, rows), when)


def _row(state: ClinicState, now: datetime) -> list[str]:
    clinic = state.clinic
    skipped = sum(each.skips.number for each in state.phases.values() if each.skips)
    return [
        clinic.slug if clinic.is_active else f"{clinic.slug} (inactive)",
        *(_phase_text(state, phase, now) for phase in Phase),
        state.credentials or "none",
        state.session.status,
        str(state.open_holds),
        str(state.failures.open_failures),
        str(state.failures.dead_letters),
        str(skipped),
    ]


def _phase_text(state: ClinicState, phase: Phase, now: datetime) -> str:
    schedule, known = punctuality(state, phase, now=now), state.phases[phase]
    text = age(known.last.last_success, now)
    if known.latest is not None and known.latest.status is not AuditStatus.COMPLETED:
        text = f"{text} ({known.latest.status.value})"
    if schedule.is_late:
        text = f"{text}, LATE"
    return f"{text}, {_due_text(state, schedule, now)}" if state.schedule else text


def _due_text(state: ClinicState, schedule: ScheduleStatus, now: datetime) -> str:
    """When the phase is due next, in the clinic's time zone."""
    if schedule.schedule is ScheduleState.MALFORMED:
        return "bad schedule"
    if schedule.next_due is None:
        return "off"
    local, today = (each.astimezone(state.clinic.zone) for each in (schedule.next_due, now))
    shown = f"{local:%H:%M}" if local.date() == today.date() else f"{local:%d %b %H:%M}"
    return f"next {shown}"
