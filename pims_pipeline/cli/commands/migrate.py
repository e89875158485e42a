"""``pims migrate``: bring the database's tables up to date."""

import os

import click

from pims_pipeline.cli.runtime import Command, Store, dagster_storage, open_store
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.composition import open_vault
from pims_pipeline.orchestration.instance import dagster_environment
from pims_pipeline.settings import Settings
from pims_pipeline.store.dagster.schema import ensure_dagster_schema
from pims_pipeline.store.database.migrate import migrate as migrate_tables


@click.command(
    cls=Command,
    epilog=examples(
        "pims migrate",
        "PIMS_DATABASE_URL=postgresql://user:password@host:5432/database pims migrate",
        "pims migrate --dagster",
    ),
)
@click.option(
    "--dagster",
    is_flag=True,
    help="Also make Dagster's own tables, and the partitions of the clinics: once, before the "
    "parts of `pims part` start. `pims up` does so by itself.",
)
@json_option('`{"applied": […]}`, the revisions that were applied')
@click.pass_obj
def migrate(settings: Settings, *, dagster: bool, as_json: bool) -> None:
    """Bring the database's tables up to date.

    It is safe to run again, and in several processes at once. Without PIMS_DATABASE_URL, the
    embedded database is migrated, and created first if there is none. The schema that
    PIMS_DATABASE_SCHEMA names is created as well.

    """
    with open_store(settings, migrated=False) as store:
        applied = migrate_tables(store.engine)
        ensure_dagster_schema(store.engine)
        # Makes the embedded database's key.
        open_vault(settings)
        if dagster:
            _prepare_dagster(store)
    if as_json:
        print_json({"applied": applied})
    elif applied:
        say(f"Applied: {', '.join(applied)}.")
    else:
        say("The tables are up to date.")


def _prepare_dagster(store: Store) -> None:
    from pims_pipeline.operations.clinics import (  # noqa: PLC0415 - costs time
        clinics_to_partition,
    )
    from pims_pipeline.orchestration.ui_server import prepare_instance  # noqa: PLC0415 - as above

    os.environ.update(dagster_environment(store.settings.home, dagster_storage(store)))
    prepare_instance(clinics_to_partition(store.engine))
