"""``pims clinics``: registering clinics and choosing when they are synced."""

import ipaddress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import click

from pims_pipeline.cli.errors import Misused, typed
from pims_pipeline.cli.options import examples, json_option, slug_argument
from pims_pipeline.cli.output import print_json, print_table
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.domain.clinics import Clinic, checked_slug, zone_named
from pims_pipeline.domain.outcome import SyncType
from pims_pipeline.providers.registry import PROVIDER_TYPES
from pims_pipeline.settings import Settings
from pims_pipeline.store.clinics import (
    ScheduleConfig,
    add_clinic,
    all_clinics,
    clinic_by_slug,
    deactivate_clinic,
    schedule_config,
    set_schedule_config,
)
from pims_pipeline.store.database import transaction


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
    if not name.strip():
        raise Misused("--name is empty; give the clinic's name as people know it")
    return name.strip()


def _base_url(context: click.Context, option: click.Parameter, url: str) -> str:  # noqa: ARG001 - click's signature
    """``url``, if passwords may be sent there."""
    parts = None
    with typed():
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when it is no port
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise Misused("--base-url is not an address such as https://clinic.example")
    if parts.username or parts.password:
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
    help="The zone its diary is kept in, such as America/New_York.",
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
    with open_store(settings) as store, transaction(store.engine) as connection:
        clinic = add_clinic(
            connection,
            slug=slug,
            name=name,
            timezone=timezone,
            provider_type=provider,
            provider_base_url=base_url,
        )
        config = schedule_config(connection, clinic)
    if as_json:
        print_json(_document(clinic, config))
    else:
        click.echo(
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
def list_clinics(settings: Settings, *, as_json: bool) -> None:
    """List all clinics with their schedules.

    Schedules are cron expressions in the clinic's own time zone.
    """
    with open_store(settings) as store, transaction(store.engine) as connection:
        found = [(each, schedule_config(connection, each)) for each in all_clinics(connection)]
    if as_json:
        print_json({"clinics": [_document(clinic, config) for clinic, config in found]})
        return
    print_table(
        ["Slug", "Name", "Time zone", "Provider", "Address", "Active", *map(str, SyncType)],
        (
            (
                clinic.slug,
                clinic.name,
                clinic.timezone,
                clinic.provider_type,
                clinic.provider_base_url,
                "yes" if clinic.is_active else "no",
                *(config.sync_schedules[phase] for phase in SyncType),
            )
            for clinic, config in found
        ),
        empty="No clinic is registered; `pims clinics add --help` tells how.",
    )


@clinics.command(
    epilog=examples(
        'pims clinics schedule riverbend --inbound "*/10 7-19 * * *"',
        'pims clinics schedule riverbend --reconciliation "30 1 * * *" --lookback-days 14',
    )
)
@slug_argument
@click.option("--inbound", metavar="CRON", help="When the diary is synced.")
@click.option("--cases", metavar="CRON", help="When medical records are fetched.")
@click.option("--reconciliation", metavar="CRON", help="When deleted visits are looked for.")
@click.option(
    "--days-ahead", type=click.IntRange(0, 14), help="Days after today that a sync covers."
)
@click.option(
    "--lookback-days", type=click.IntRange(0, 365), help="Days before today that a sync covers."
)
@click.option(
    "--parallel-batch-size",
    type=click.IntRange(1, 32),
    help="Medical records fetched side by side.",
)
@json_option
@click.pass_obj
def schedule(
    settings: Settings,
    *,
    slug: str,
    inbound: str | None,
    cases: str | None,
    reconciliation: str | None,
    days_ahead: int | None,
    lookback_days: int | None,
    parallel_batch_size: int | None,
    as_json: bool,
) -> None:
    """Choose when a clinic is synced, and how widely.

    CRON expressions are read in the clinic's own time zone. What is not given stays.
    """
    crons = {
        phase: cron
        for phase, cron in (
            (SyncType.INBOUND, inbound),
            (SyncType.CASES, cases),
            (SyncType.RECONCILIATION, reconciliation),
        )
        if cron is not None
    }
    numbers = {
        name: number
        for name, number in (
            ("days_ahead", days_ahead),
            ("lookback_days", lookback_days),
            ("parallel_batch_size", parallel_batch_size),
        )
        if number is not None
    }
    if not crons and not numbers:
        raise Misused(f"nothing to change; see `pims clinics schedule {slug} --help`")
    for phase, cron in crons.items():
        _check_cron(phase, cron)
    with open_store(settings) as store, transaction(store.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        config = schedule_config(connection, clinic)
        config = replace(config, **numbers, sync_schedules={**config.sync_schedules, **crons})
        set_schedule_config(connection, clinic, config)
    if as_json:
        print_json(_document(clinic, config))
    else:
        click.echo(f"{slug} is synced as chosen from now on; `pims clinics list` shows how.")


def _check_cron(phase: SyncType, cron: str) -> None:
    """Refuse what Dagster's scheduler would refuse later."""
    import dagster as dg  # noqa: PLC0415 - costs seconds

    try:
        dg.ScheduleDefinition(job_name="any", cron_schedule=cron)
    except dg.DagsterInvalidDefinitionError as error:
        raise Misused(
            f"--{phase}: {cron!r} is not a cron expression; write minute, hour, day of the month, "
            'month and day of the week, such as "*/15 * * * *"'
        ) from error


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
    with open_store(settings) as store, transaction(store.engine) as connection:
        deactivate_clinic(connection, slug)
        clinic = clinic_by_slug(connection, slug)
        config = schedule_config(connection, clinic)
    if as_json:
        print_json(_document(clinic, config))
    else:
        click.echo(f"{slug} is synced no more; its cases stay.")


def _document(clinic: Clinic, config: ScheduleConfig) -> dict[str, Any]:
    return {
        "id": str(clinic.id),
        "slug": clinic.slug,
        "name": clinic.name,
        "timezone": clinic.timezone,
        "providerType": clinic.provider_type,
        "providerBaseUrl": clinic.provider_base_url,
        "isActive": clinic.is_active,
        "syncSchedules": {str(phase): config.sync_schedules[phase] for phase in SyncType},
        "daysAhead": config.days_ahead,
        "lookbackDays": config.lookback_days,
        "parallelBatchSize": config.parallel_batch_size,
    }
