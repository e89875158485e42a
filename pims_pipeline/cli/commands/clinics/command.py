"""``pims clinics``: register, list and deactivate clinics; set what is synced and when."""

import click

from pims_pipeline.cli.commands.clinics.resources import resources
from pims_pipeline.cli.commands.clinics.schedule import schedule
from pims_pipeline.cli.commands.clinics.words import words
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.base_url import checked_base_url
from pims_pipeline.cli.terminal.errors import typed
from pims_pipeline.cli.terminal.options import (
    ProviderType,
    examples,
    json_option,
    plain_name,
    slug_argument,
)
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.domain.clinics import checked_slug, zone_named
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.clinics import (
    NewClinic,
    change_timezone,
    list_clinics,
    register_clinic,
)
from pims_pipeline.operations.clinics import deactivate as deactivate_clinic
from pims_pipeline.settings import Settings
from pims_pipeline.wire.clinics import ClinicDocument, ClinicList


@click.group(cls=Group)
def clinics() -> None:
    """Register clinics and set what is synced and when."""


def _new_slug(context: click.Context, option: click.Parameter, slug: str) -> str:  # noqa: ARG001 - click's signature
    with typed():
        return checked_slug(slug)


def _zone(context: click.Context, option: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's signature
    with typed():
        return zone_named(name).key


def _named(context: click.Context, option: click.Parameter, name: str) -> str:  # noqa: ARG001 - click's signature
    return plain_name(name, "--name")


def _base_url(context: click.Context, option: click.Parameter, url: str) -> str:  # noqa: ARG001 - click's signature
    return checked_base_url(url)


@clinics.command(
    epilog=examples(
        'pims clinics add riverbend --name "Riverbend Animal Hospital" \\',
        "  --timezone America/New_York --provider idexx_neo --base-url https://clinic.example",
    )
)
@click.argument("slug", metavar="SLUG", callback=_new_slug)
@click.option("--name", required=True, callback=_named, help="The clinic's name, for display.")
@click.option(
    "--timezone",
    required=True,
    callback=_zone,
    help="The IANA time zone of its calendar, such as America/New_York.",
)
@click.option(
    "--provider",
    required=True,
    type=ProviderType(),
    help="The clinic's practice management system; `pims providers list` shows them.",
)
@click.option(
    "--base-url",
    required=True,
    callback=_base_url,
    help="The system's address, such as https://clinic.example. http is accepted for this "
    "machine only.",
)
@json_option("the clinic as `pims clinics list` does")
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
        say(f"{slug} is registered. Next: pims credentials set {slug}")


@clinics.command(
    "list",
    epilog=examples(
        "pims clinics list",
        "pims clinics list --json",
    ),
)
@json_option('`{"clinics": […]}`')
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
        empty="No clinic is registered; see `pims clinics add --help`.",
    )


@clinics.command(
    epilog=examples(
        "pims clinics deactivate riverbend",
    )
)
@slug_argument
@json_option("the clinic as `pims clinics list` does")
@click.pass_obj
def deactivate(settings: Settings, *, slug: str, as_json: bool) -> None:
    """Deactivate a clinic: it is no longer synced. Its stored data stays."""
    with open_store(settings) as store:
        known = deactivate_clinic(store.engine, slug)
    if as_json:
        print_json(ClinicDocument.of(known.clinic, known.config))
    else:
        say(f"{slug} is deactivated: it is no longer synced; its cases stay.")


@clinics.command(
    "timezone",
    epilog=examples(
        "pims clinics timezone riverbend America/Chicago",
    ),
)
@slug_argument
@click.argument("zone", metavar="ZONE", callback=_zone)
@json_option("the clinic as `pims clinics list` does")
@click.pass_obj
def set_timezone(settings: Settings, *, slug: str, zone: str, as_json: bool) -> None:
    """Correct the time zone of a clinic's calendar.

    ZONE is an IANA name such as America/Chicago. The next sync of a date reads the calendar in it,
    and moves the cases whose times or dates change. Schedules follow by themselves.
    """
    with open_store(settings) as store:
        known = change_timezone(store.engine, slug, zone)
    if as_json:
        print_json(ClinicDocument.of(known.clinic, known.config))
    else:
        say(
            f"The time zone of {slug} is {zone}. Dates that are not synced again keep their times: "
            f"pims sync full --clinic {slug} --from DATE --to DATE"
        )


clinics.add_command(schedule)
clinics.add_command(resources)
clinics.add_command(words)
