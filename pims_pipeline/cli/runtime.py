"""The composition root of the terminal: opens and closes settings, database and vault.

What a command does with them belongs in its module in ``commands``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine

from pims_pipeline.cli.terminal.interrupts import interruptible, uninterrupted
from pims_pipeline.composition import database_url, open_engine, open_vault, set_up_logging
from pims_pipeline.local_trust.private_files import close_to_others, keep_files_private
from pims_pipeline.settings import Settings, load_settings
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema

if TYPE_CHECKING:
    from pims_pipeline.store.secrets.vault import Vault


class Command(click.Command):
    """A command whose context object is the ``Settings``; logs go to standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the environment, set up logging, and run the command.

        Raises:
            SettingsError: If the environment holds a wrong value.
            HomeNotPrivate: If another user owns the home directory.
        """
        keep_files_private()
        settings = load_settings()
        close_to_others(settings.home)
        set_up_logging(settings)
        ctx.obj = settings
        # So that the command stops what it started: a browser, the embedded database.
        with interruptible():
            return super().invoke(ctx)


class Group(click.Group):
    """A noun: a group of ``Command``."""

    command_class = Command


@dataclass(frozen=True)
class Store:
    """The open database, and the vault for its secrets.

    Attributes:
        database_url: The URL of ``engine``; holds a password.

    """

    settings: Settings
    database_url: str
    engine: Engine

    @cached_property
    def vault(self) -> "Vault":
        """Opened when it is first used: most commands read no secret."""
        return open_vault(self.settings)

    def __repr__(self) -> str:
        return f"Store({self.engine.url!r})"


@contextmanager
def open_store(settings: Settings, *, migrated: bool = True) -> Iterator[Store]:
    """Open the configured database; the embedded one if the settings name none.

    Args:
        settings: The process's settings.
        migrated: Whether the tables must be up to date.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If its tables are not up to date.
        EmbeddedDatabaseFailed: If the embedded database does not start.
    """
    with own_database(settings) as url, open_engine(settings, url, migrated=migrated) as engine:
        yield Store(settings, url, engine)


@contextmanager
def own_database(settings: Settings) -> Iterator[str]:
    """The database's URL; an embedded database stops when its last user leaves."""
    try:
        # An interrupt during the start would leave the server running.
        with uninterrupted():
            url = database_url(settings)
        yield url
    finally:
        if settings.database_url is None:
            # Loaded by ``database_url`` in this case alone.
            from pims_pipeline.store.embedded.server import (  # noqa: PLC0415 - see above
                stop_embedded,
            )

            # So would one during the stop.
            with uninterrupted():
                stop_embedded(settings.home)


def dagster_storage(store: Store) -> str:
    """The URL of Dagster's own storage, whose schema is created if needed; a secret.

    It is in the database of cases unless ``DAGSTER_POSTGRES_URL`` names another.
    """
    if (named := store.settings.dagster_url()) is not None:
        return named
    ensure_dagster_schema(store.engine)
    return dagster_storage_url(store.database_url)
