"""``pims keys import``: take over the API keys of a v4.0 installation.

What becomes of a key is decided in ``domain.adoption.api_keys``; the other commands about keys are
in ``group``.
"""

from collections.abc import Mapping

import click

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import examples, json_option, wait_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.operations.key_import import ChosenClinics, KeyImport, import_keys
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.wire.keys import ImportedKeyDocument, KeyImportDocument

_DEFAULT_SCHEMA = "public"


def _clinics_by_id(
    context: click.Context,  # noqa: ARG001 - click's signature
    option: click.Parameter,
    pairs: tuple[str, ...],
) -> Mapping[str, str]:
    """The pairs ``ID=SLUG`` of an option that may be repeated."""
    chosen: dict[str, str] = {}
    for pair in pairs:
        each, sign, slug = pair.partition("=")
        if not (each.strip() and sign and slug.strip()):
            raise Misused(f"{option.opts[0]} must be written ID=SLUG")
        if chosen.setdefault(each.strip(), slug.strip()) != slug.strip():
            raise Misused(f"{option.opts[0]} names two clinics for {each.strip()}")
    return chosen


@click.command(
    "import",
    cls=Command,
    epilog=examples(
        "pims keys import --clinic riverbend --wait 60 --dry-run",
        "pims keys import --user 6f1c…=riverbend --user 90aa…=oakdale --wait 60",
    ),
)
@click.option(
    "--schema",
    default=_DEFAULT_SCHEMA,
    show_default=True,
    help="The schema of the v4.0 installation's tables.",
)
@click.option(
    "--clinic",
    "slug",
    metavar="SLUG",
    show_default="none",
    help="The clinic of keys that name none. Where keys name a clinic, only this clinic's are "
    "imported.",
)
@click.option(
    "--user",
    "by_user",
    metavar="ID=SLUG",
    multiple=True,
    callback=_clinics_by_id,
    help="The clinic of a user's keys, by the id that the v4.0 installation gave the user. May be "
    "repeated.",
)
@click.option(
    "--key",
    "by_key",
    metavar="ID=SLUG",
    multiple=True,
    callback=_clinics_by_id,
    help="The clinic of one key, by its id there. May be repeated.",
)
@click.option(
    "--skip-others",
    is_flag=True,
    help="Leave out keys for which no clinic is named, instead of stopping.",
)
@wait_option
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@json_option(
    "counts (`imported`, `updated`, `unchanged`, `leftOut`), and each key under `keys` with its "
    "`outcome` and `reason`"
)
@click.pass_obj
def import_command(
    settings: Settings,
    *,
    schema: str,
    slug: str | None,
    by_user: Mapping[str, str],
    by_key: Mapping[str, str],
    skip_others: bool,
    wait_seconds: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import the API keys of a v4.0 installation, so that its clients need no new ones.

    Only hashes are read. Keys of users name no clinic: name it with --clinic, --user or --key. A
    key that was revoked or has expired is imported as such. The same command again changes
    nothing, except that it revokes keys that were revoked there, and sets the wait of --wait.
    """
    chosen = ChosenClinics(for_all=slug, by_user=by_user, by_key=by_key, leaves_others=skip_others)
    with open_store(settings) as store:
        done = import_keys(
            store.engine,
            schema,
            chosen,
            wait_seconds=wait_seconds,
            now=check_clock(store.engine),
            dry_run=dry_run,
        )
    document = KeyImportDocument.of(done, dry_run=dry_run)
    if as_json:
        print_json(document)
    else:
        _print(document, done)


def _print(document: KeyImportDocument, done: KeyImport) -> None:
    print_table(
        ["Name", "Prefix", "Clinic", "Permissions", "State", "Result"],
        (_row(each) for each in document.keys),
        empty="There is no key to import.",
    )
    say(
        f"{'Would be: ' if document.dry_run else ''}{document.imported} imported, "
        f"{document.updated} updated, {document.unchanged} unchanged, "
        f"{document.left_out} left out.",
        err=True,
    )
    if any(each.must_be_replaced for each in done.keys):
        say(
            "Keys marked `replace` are stored in clear there: create new ones (pims keys create), "
            "give them to the clients, and revoke these (pims keys revoke).",
            err=True,
        )


def _row(key: ImportedKeyDocument) -> tuple[str, ...]:
    result = key.outcome.value.replace("_", " ")
    return (
        key.name,
        key.prefix or "",
        key.clinic or "",
        ",".join(key.permissions),
        "active" if key.is_active else "revoked",
        f"{result}{f': {key.reason}' if key.reason else ''}{'; replace' if key.replace else ''}",
    )
