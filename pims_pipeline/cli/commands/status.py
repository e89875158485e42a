"""``pims status``: how each clinic stands, once or refreshed until it is stopped."""

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
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, results_console, say
from pims_pipeline.cli.terminal.tables import age, print_table, table_of
from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.status import StatusOverview, status_overview
from pims_pipeline.scheduling.lateness import ScheduleStatus, schedule_status
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import read_clock
from pims_pipeline.store.queries.clinic_status import ClinicState
from pims_pipeline.wire.statuses import Statuses

_HEADINGS = [
    "Clinic",
    *map(str, Phase),
    *("Login", "Session", "Holds", "Open failures", "Dead letters", "Skipped"),
]
_NONE = "No clinic is registered; `pims clinics add --help` tells how."
_DEFAULT_SECONDS = 5
_NOT_ACTIVE = ScheduleStatus(schedule=ScheduleState.OFF)


@click.command(
    cls=Command,
    epilog=examples(
        "pims status",
        "pims status --watch",
        "pims status --watch 30 --clinic riverbend",
        "pims status --json",
    ),
)
@click.option("--clinic", "slug", metavar="SLUG", help="Of one clinic; of all unless given.")
@click.option(
    "--watch",
    "seconds",
    type=click.FloatRange(min=0.5),
    is_flag=False,
    flag_value=_DEFAULT_SECONDS,
    metavar="[SECONDS]",
    help=f"Refresh every so many seconds ({_DEFAULT_SECONDS} unless given) until Ctrl-C.",
)
@json_option
@click.pass_obj
def status(settings: Settings, *, slug: str | None, seconds: float | None, as_json: bool) -> None:
    """Show how each clinic stands.

    For each phase, when it last succeeded (and how it ended since, if it did not), when it is due
    next, and whether it is late: two of its times passed without a sync that was completed or held.
    Then whether the login works and a session is at hand; the windows whose deletions wait for a
    person, the records that could not be read or fetched (open failures), those of them that only
    a person or a change at the vendor can help (dead letters), and the times at which a sync was
    still going.
    """
    if seconds is not None and as_json:
        raise click.UsageError(
            "--watch is for people and --json for programs, which can ask again as they like; "
            "give one of them"
        )
    with open_store(settings) as store:
        clock = read_clock(store.engine)
        if clock.is_wrong:
            say(f"Warning: no sync starts here: {clock.problem}", err=True)
        if seconds is not None:
            _watch(lambda: status_overview(store.engine, slug), seconds)
            return
        seen = status_overview(store.engine, slug)
    if as_json:
        punctual = partial(_punctuality, now=seen.now)
        print_json(Statuses.of(seen.states, punctual, clock, seen.now))
        return
    print_table(_HEADINGS, (_row(state, seen.now) for state in seen.states), empty=_NONE)


def _watch(look: Callable[[], StatusOverview], seconds: float) -> None:
    """Show the table again until Ctrl-C, which is how this ends well.

    In place on a terminal; elsewhere one table after the other.
    """
    console = results_console()
    pause = Event()
    with (
        suppress(KeyboardInterrupt),
        interruptible(),
        Live(console=console, auto_refresh=False) as live,
    ):
        while True:
            picture = _picture(look())
            if console.is_terminal:
                live.update(picture, refresh=True)
            else:
                console.print(picture)
            pause.wait(seconds)


def _picture(seen: StatusOverview) -> RenderableType:
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


def _punctuality(state: ClinicState, phase: Phase, *, now: datetime) -> ScheduleStatus:
    if state.schedule is None:
        return _NOT_ACTIVE
    return schedule_status(
        state.schedule, phase, state.phases[phase].last.last_completed_or_held, now
    )


def _phase_text(state: ClinicState, phase: Phase, now: datetime) -> str:
    stands, known = _punctuality(state, phase, now=now), state.phases[phase]
    text = age(known.last.last_success, now)
    if known.latest is not None and known.latest.status is not AuditStatus.COMPLETED:
        text = f"{text} ({known.latest.status.value})"
    if stands.is_late:
        text = f"{text}, LATE"
    return f"{text}, {_due_text(state, stands, now)}" if state.schedule else text


def _due_text(state: ClinicState, stands: ScheduleStatus, now: datetime) -> str:
    """When the phase is due next, by the clinic's own clock."""
    if stands.schedule is ScheduleState.MALFORMED:
        return "bad schedule"
    if stands.next_due is None:
        return "off"
    local, today = (each.astimezone(state.clinic.zone) for each in (stands.next_due, now))
    shown = f"{local:%H:%M}" if local.date() == today.date() else f"{local:%d %b %H:%M}"
    return f"next {shown}"
