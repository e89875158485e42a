"""``pims clinics resources``: show and choose which rooms, columns and providers are synced."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click

from pims_pipeline.cli.runtime import Command, Store, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import Function, examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.composition import deletion_policy, provider_options
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.resource_choices import FilterEffect, chosen
from pims_pipeline.domain.records.resources import ALL_RESOURCES, Resource, ResourceFilter
from pims_pipeline.operations.resources import (
    ResourceOverview,
    ResourcesNotListed,
    choose_resources,
    show_resources,
    vendor_resources,
)
from pims_pipeline.providers.port import PimsError
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.settings import Settings
from pims_pipeline.store.secrets.credentials import NoCredentials
from pims_pipeline.wire.resources import ResourcesDocument

_PURPOSE = "pims clinics resources"
"""What the access log records in place of a run's id."""


def _ids(name: str, destination: str, text: str) -> Callable[[Function], Function]:
    return click.option(name, destination, metavar="ID", multiple=True, help=text)


@click.command(
    cls=Command,
    epilog=examples(
        "pims clinics resources riverbend",
        "pims clinics resources riverbend --include room:11 --include room:12",
        "pims clinics resources riverbend --exclude provider:3",
        "pims clinics resources riverbend --all",
    ),
)
@slug_argument
@_ids("--include", "included", "Sync only appointments with this resource. Repeat it for several.")
@_ids("--exclude", "excluded", "Leave out appointments with this resource. Repeat it for several.")
@click.option("--all", "everything", is_flag=True, help="Sync all appointments.")
@click.option(
    "--leave-out-everything",
    is_flag=True,
    help="Accept a choice that leaves out every known appointment.",
)
@json_option(
    '`{"clinic": …, "included": …, "excluded": […], "resources": […]}`, and how many known '
    "appointments are left out"
)
@click.pass_obj
def resources(
    settings: Settings,
    *,
    slug: str,
    included: Sequence[str],
    excluded: Sequence[str],
    everything: bool,
    leave_out_everything: bool,
    as_json: bool,
) -> None:
    """Show a clinic's rooms, columns and providers, and choose which of them are synced.

    ID is a resource as this command shows it, such as `room:11`, or the vendor's id alone if only
    one resource has it. A choice replaces the former one. The next sync of a date applies it: an
    appointment that is left out is stored and makes no case; a case that it has is retired with the
    reason `left_out`, and restored when the appointment is synced again.
    """
    if sum((bool(included), bool(excluded), everything)) > 1:
        raise Misused("give --include, --exclude or --all, and not several of them")

    def choose(known: ResourceOverview) -> ResourceFilter:
        names = {each.key: each.name for each in known.uses}
        if included:
            return ResourceFilter(included=chosen(included, names))
        return ResourceFilter(excluded=chosen(excluded, names)) if excluded else ALL_RESOURCES

    with open_store(settings) as store:
        now, earliest = datetime.now(UTC), settings.partition_start
        if included or excluded or everything:
            overview = choose_resources(
                store.engine,
                slug,
                # Everything needs no names, and works while the vendor cannot be reached.
                () if everything else _dictionary_to_choose_from(store, slug),
                choose,
                now=now,
                earliest=earliest,
                leaves_out_everything=leave_out_everything,
            )
        else:
            dictionary = _dictionary_if_any(store, slug)
            overview = show_resources(store.engine, slug, dictionary, now=now, earliest=earliest)
    _print(overview, deletion_policy(settings), as_json=as_json)


def _dictionary(store: Store, slug: str) -> tuple[Resource, ...]:
    """The clinic's resources as its vendor lists them."""
    options = provider_options(store.settings)
    return vendor_resources(
        store.engine,
        store.vault,
        slug,
        lambda clinic: build_provider(clinic, options),
        run_id=_PURPOSE,
    )


def _dictionary_to_choose_from(store: Store, slug: str) -> tuple[Resource, ...]:
    """As ``_dictionary``; none, with a warning, if the provider has no such list."""
    try:
        return _dictionary(store, slug)
    except ResourcesNotListed as error:
        say(f"Warning: {error}", err=True)
        return ()


def _dictionary_if_any(store: Store, slug: str) -> tuple[Resource, ...]:
    """As ``_dictionary``; none, with a warning, if the vendor cannot be asked."""
    try:
        return _dictionary(store, slug)
    except (PimsError, NoCredentials) as error:
        say(f"Shown without the vendor's names: {error}", err=True)
        return ()


def _print(overview: ResourceOverview, policy: DeletionPolicy, *, as_json: bool) -> None:
    effect = overview.effect
    is_held = not policy.allows(effect.retired, effect.active_cases)
    if as_json:
        print_json(ResourcesDocument.of(overview, is_held=is_held))
        return
    print_table(
        ["Id", "Name", "Appointments", "Synced", ""],
        (
            (
                each.key,
                each.name,
                str(each.appointments),
                "yes" if each.is_synced else "no",
                "" if each.is_listed else "not in the vendor's dictionary",
            )
            for each in overview.uses
        ),
        empty="No room, column or provider of the clinic is known yet.",
    )
    chosen_now = overview.clinic.resources
    if chosen_now == ALL_RESOURCES:
        say(f"All appointments of {overview.clinic.slug} are synced.")
        return
    verb = "Only" if chosen_now.included is not None else "All but"
    say(f"{verb} {', '.join(sorted(chosen_now.named))} of {overview.clinic.slug} are synced.")
    say(_effect(effect, str(overview.window), is_held=is_held))


def _effect(effect: FilterEffect, window: str, *, is_held: bool) -> str:
    """What the choice does, in words."""
    text = (
        f"Of the {effect.appointments} known appointments of {window}, {effect.left_out} are left "
        f"out; {effect.retired} of {effect.active_cases} active cases are to be retired"
    )
    if is_held:
        return (
            f"{text}: more than the deletion guard allows, so the next reconciliation holds them; "
            "see `pims holds list`."
        )
    return f"{text} by the next reconciliation." if effect.retired else f"{text}."
