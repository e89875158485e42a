"""``pims clinics schedule``: set and show when a clinic is synced."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import (
    Function,
    examples,
    json_option,
    slug_argument,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import MAX_BATCH, ScheduleConfig
from pims_pipeline.operations.clinics import (
    ScheduleChange,
    change_schedule,
)
from pims_pipeline.scheduling.cron import BadCron, parse_schedule
from pims_pipeline.scheduling.ticks import next_ticks, timetable
from pims_pipeline.settings import Settings
from pims_pipeline.wire.clinics import ScheduleDocument

_NEXT = 5
"""How many future ticks of a schedule are shown."""


def cron_options(command: Function) -> Function:
    """An option for each phase: when it is due."""
    for phase in reversed(Phase):
        option: Callable[[Function], Function] = click.option(
            f"--{phase}",
            phase.value,
            metavar="CRON",
            help=f"{phase.names.schedule_help.removesuffix('.')}: a cron expression or `off`.",
        )
        command = option(command)
    return command


@click.command(
    cls=Command,
    epilog=examples(
        "pims clinics schedule riverbend",
        'pims clinics schedule riverbend --inbound "*/10 7-19 * * *"',
        'pims clinics schedule riverbend --reconciliation "30 1 * * *" --lookback-days 14',
        "pims clinics schedule riverbend --cases off",
    ),
)
@slug_argument
@cron_options
@click.option(
    "--days-ahead", type=click.IntRange(0, DAYS_AHEAD), help="Days after today that a sync covers."
)
@click.option(
    "--lookback-days", type=click.IntRange(0, 365), help="Days before today that a sync covers."
)
@click.option(
    "--parallel-batch-size",
    type=click.IntRange(1, MAX_BATCH),
    help="Consultations fetched in parallel.",
)
@json_option(
    "the clinic as `pims clinics list` does, with `nextTicks` (in UTC) and `problems` "
    "(schedules that cannot be read) by phase"
)
@click.pass_obj
def schedule(
    settings: Settings,
    /,
    *,
    slug: str,
    days_ahead: int | None,
    lookback_days: int | None,
    parallel_batch_size: int | None,
    as_json: bool,
    **crons: str | None,
) -> None:
    """Set when a clinic is synced and over how many days; show the next ticks.

    CRON is minute, hour, day of the month, month and day of the week, in the clinic's time zone;
    `off` stops the scheduled syncs of a phase. What is not given stays unchanged. A tick in an
    hour that a clock change skips comes right after the change; one in a repeated hour comes once.
    """
    change = ScheduleChange(
        crons=_checked_crons({phase: crons[phase.value] for phase in Phase}),
        days_ahead=days_ahead,
        lookback_days=lookback_days,
        parallel_batch_size=parallel_batch_size,
    )
    with open_store(settings) as store:
        known = change_schedule(store.engine, slug, change)
    _print_schedule(known.clinic, known.config, datetime.now(UTC), as_json=as_json)


def _checked_crons(crons: Mapping[Phase, str | None]) -> dict[Phase, str]:
    """The expressions that were given, if each can be read."""
    given = {phase: cron.strip() for phase, cron in crons.items() if cron is not None}
    problems = []
    for phase, cron in given.items():
        try:
            parse_schedule(cron)
        except BadCron as error:
            problems.append(f"--{phase}: {error}")
    if problems:
        raise Misused("; ".join(problems))
    return given


@dataclass(frozen=True, slots=True)
class _Upcoming:
    """A phase's next ticks in UTC, or why there are none."""

    ticks: Sequence[datetime] = ()
    problem: str | None = None


def _upcoming(clinic: Clinic, cron: str, now: datetime) -> _Upcoming:
    try:
        read = timetable(clinic, cron)
    except ValueError as error:
        return _Upcoming(problem=str(error))
    if read is None or refusal(clinic, ClinicUse.SYNC):
        return _Upcoming()
    return _Upcoming(next_ticks(read.cron, read.zone, now, _NEXT))


def _print_schedule(
    clinic: Clinic, config: ScheduleConfig, now: datetime, *, as_json: bool
) -> None:
    upcoming = {
        phase: _upcoming(clinic, cron, now) for phase, cron in config.sync_schedules.items()
    }
    if as_json:
        ticks = {phase: each.ticks for phase, each in upcoming.items()}
        problems = {phase: each.problem for phase, each in upcoming.items() if each.problem}
        print_json(ScheduleDocument.at(clinic, config, ticks=ticks, problems=problems))
        return
    print_table(
        ["Phase", "Schedule", f"Next ({clinic.timezone})", "UTC"],
        (row for phase, each in upcoming.items() for row in _rows(clinic, config, phase, each)),
        empty="",
    )
    say(
        f"A sync covers today and {config.days_ahead} days ahead; reconciliation also "
        f"{config.lookback_days} days back."
    )
    if reason := refusal(clinic, ClinicUse.SYNC):
        say(f"{reason}.", err=True)


def _rows(
    clinic: Clinic, config: ScheduleConfig, phase: Phase, upcoming: _Upcoming
) -> Iterator[tuple[str, str, str, str]]:
    names = (str(phase), config.sync_schedules[phase])
    if not upcoming.ticks:
        yield (*names, upcoming.problem or "never", "")
    for tick in upcoming.ticks:
        local = tick.astimezone(clinic.zone)
        yield (*names, f"{local:%a %Y-%m-%d %H:%M %z}", f"{tick:%Y-%m-%d %H:%M}")
        names = ("", "")
