"""``pims clinics``: registering clinics and choosing when they are synced."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Misused, typed
from pims_pipeline.cli.terminal.options import Function, examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import plain_name, print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic, checked_slug, zone_named
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import MAX_BATCH, ScheduleConfig
from pims_pipeline.operations.clinics import (
    NewClinic,
    ScheduleChange,
    change_schedule,
    list_clinics,
    register_clinic,
)
from pims_pipeline.operations.clinics import deactivate as deactivate_clinic
from pims_pipeline.providers.registry import PROVIDER_TYPES
from pims_pipeline.scheduling.cron import BadCron, parse_schedule
from pims_pipeline.scheduling.ticks import next_ticks, timetable
from pims_pipeline.settings import Settings
from pims_pipeline.wire.clinics import ClinicDocument, ClinicList, ClinicSchedule

_NEXT = 5
"""How many times ahead are shown."""


@click.group(cls=Group)
def clinics() -> None:
    """Register clinics and choose when they are synced."""


def _new_slug(context: click.Context, option: click.Parameter, slug: str) -> str:  # noqa: ARG001 - click's signature
    with typed():
        return checked_slug(slug)


def _zone(context: click.Context, option: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's signature
    with typed():
        return zone_named(name).key


def _named(context: click.Context, option: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's signature
    return plain_name(name, "--name")


def _base_url(context: click.Context, option: click.Parameter, url: str) -> str:  # noqa: ARG001 - click's signature
    """``url``, if passwords may be sent there."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when it is no port
    except ValueError:
        # Its words quote what stands at the port's place, perhaps a piece of a password.
        raise Misused("--base-url is not an address such as https://clinic.example") from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise Misused("--base-url is not an address such as https://clinic.example")
    if "@" in url:
        raise Misused(
            "--base-url holds a user or password; leave them out, and enter them with "
            "`pims credentials set`"
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise Misused(
            "--base-url begins with http://, so passwords would travel in the clear; "
            "use https:// (http is for this machine alone)"
        )
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@clinics.command(
    epilog=examples(
        'pims clinics add riverbend --name "Riverbend Animal Hospital" \\',
        "  --timezone America/New_York --provider idexx_neo --base-url https://clinic.example",
    )
)
@click.argument("slug", metavar="SLUG", callback=_new_slug)
@click.option("--name", required=True, callback=_named, help="The clinic's name, for people.")
@click.option(
    "--timezone",
    required=True,
    callback=_zone,
    help="The zone its calendar is kept in, such as America/New_York.",
)
@click.option(
    "--provider",
    required=True,
    type=click.Choice(PROVIDER_TYPES),
    help="Its practice management system.",
)
@click.option(
    "--base-url",
    required=True,
    callback=_base_url,
    help="Where that system answers, such as https://clinic.example.",
)
@json_option
@click.pass_obj
def add(
    settings: Settings,
    *,
    slug: str,
    name: str,
    timezone: str,
    provider: str,
    base_url: str,
    as_json: bool,
) -> None:
    """Register a clinic.

    SLUG is the clinic's short name in every command and partition: 2 to 40 lower-case letters,
    digits and hyphens. It cannot be changed later.
    """
    new = NewClinic(
        slug=slug,
        name=name,
        timezone=timezone,
        provider_type=provider,
        provider_base_url=base_url,
    )
    with open_store(settings) as store:
        registered = register_clinic(store.engine, new)
    if as_json:
        print_json(ClinicDocument.of(registered.clinic, registered.config))
    else:
        say(
            f"{slug} is registered. Next: pims credentials set {slug} "
            "--company-id … --username … --password-stdin"
        )


@clinics.command(
    "list",
    epilog=examples(
        "pims clinics list",
        "pims clinics list --json",
    ),
)
@json_option
@click.pass_obj
def list_registered(settings: Settings, *, as_json: bool) -> None:
    """List all clinics with their schedules.

    Schedules are cron expressions in the clinic's own time zone.
    """
    with open_store(settings) as store:
        found = [(each.clinic, each.config) for each in list_clinics(store.engine)]
    if as_json:
        print_json(ClinicList.of(found))
        return
    print_table(
        ["Slug", "Name", "Time zone", "Provider", "Address", "Active", *map(str, Phase)],
        (
            (
                clinic.slug,
                clinic.name,
                clinic.timezone,
                clinic.provider_type,
                clinic.provider_base_url,
                "yes" if clinic.is_active else "no",
                *(config.sync_schedules[phase] for phase in Phase),
            )
            for clinic, config in found
        ),
        empty="No clinic is registered; `pims clinics add --help` tells how.",
    )


def cron_options(command: Function) -> Function:
    """An option for each phase: when it is due."""
    for phase in reversed(Phase):
        option: Callable[[Function], Function] = click.option(
            f"--{phase}", phase.value, metavar="CRON", help=phase.names.schedule_help
        )
        command = option(command)
    return command


@clinics.command(
    epilog=examples(
        "pims clinics schedule riverbend",
        'pims clinics schedule riverbend --inbound "*/10 7-19 * * *"',
        'pims clinics schedule riverbend --reconciliation "30 1 * * *" --lookback-days 14',
        "pims clinics schedule riverbend --cases off",
    )
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
    help="Consultations fetched side by side.",
)
@json_option
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
    """Choose when a clinic is synced, and how widely; show the next times.

    CRON is minute, hour, day of the month, month and day of the week, read by the clinic's own
    clocks; `off` keeps a phase from being synced by itself. What is not given stays. A time that
    a clock change skips comes when the clocks have jumped; one that it repeats comes once.
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
    """A phase's next times in UTC; or why there are none."""

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
        print_json(ClinicSchedule.at(clinic, config, ticks=ticks, problems=problems))
        return
    print_table(
        ["Phase", "Schedule", f"Next, by clocks in {clinic.timezone}", "UTC"],
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


@clinics.command(
    epilog=examples(
        "pims clinics deactivate riverbend",
    )
)
@slug_argument
@json_option
@click.pass_obj
def deactivate(settings: Settings, *, slug: str, as_json: bool) -> None:
    """Sync a clinic no more. Everything stored of it stays."""
    with open_store(settings) as store:
        known = deactivate_clinic(store.engine, slug)
    if as_json:
        print_json(ClinicDocument.of(known.clinic, known.config))
    else:
        say(f"{slug} is synced no more; its cases stay.")
