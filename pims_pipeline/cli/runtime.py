"""The composition root of the terminal: settings → database → vault, opened and closed.

What each command does with them stands in the module named after its noun.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import Engine

from pims_pipeline.cli.terminal.interrupts import interruptible, uninterrupted
from pims_pipeline.composition import database_url, open_engine, open_vault, set_up_logging
from pims_pipeline.local_trust.private_files import close_to_others, keep_files_private
from pims_pipeline.settings import Settings, load_settings
from pims_pipeline.store.database.dagster_schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.embedded.server import stop_embedded
from pims_pipeline.store.secrets.vault import Vault

API_PORT = 8000
"""Where the REST API answers unless told otherwise."""


class Command(click.Command):
    """A command whose context object is the ``Settings``; logs go to standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the environment, set logging up, and run.

        Raises:
            SettingsError: If the environment holds a wrong value.
            HomeNotPrivate: If the home directory is another user's.
        """
        keep_files_private()
        settings = load_settings()
        close_to_others(settings.home)
        set_up_logging(settings)
        ctx.obj = settings
        # Whatever a command has started ends with it: a browser, the embedded database.
        with interruptible():
            return super().invoke(ctx)


class Group(click.Group):
    """A noun: a group of such commands."""

    command_class = Command


@dataclass(frozen=True, slots=True)
class Store:
    """The open database, and the vault for its secrets.

    Attributes:
        database_url: The address that ``engine`` was made from; holds a password.
    """

    settings: Settings
    database_url: str
    engine: Engine
    vault: Vault

    def __repr__(self) -> str:
        return f"Store({self.engine.url!r})"


@contextmanager
def open_store(settings: Settings, *, migrated: bool = True) -> Iterator[Store]:
    """The database of the settings; the embedded one where they name none.

    Args:
        settings: The process's.
        migrated: Whether its tables must be up to date.

    Raises:
        DatabaseUnavailable: If it cannot be reached.
        DatabaseNotMigrated: If its tables are not this program's.
        EmbeddedDatabaseFailed: If the embedded one does not start.
    """
    with own_database(settings) as url, open_engine(settings, url, migrated=migrated) as engine:
        yield Store(settings, url, engine, open_vault(settings))


@contextmanager
def own_database(settings: Settings) -> Iterator[str]:
    """The database's address; an embedded one stops with its last user."""
    try:
        # An interrupt in the middle of starting a server would leave it running.
        with uninterrupted():
            url = database_url(settings)
        yield url
    finally:
        if settings.database_url is None:
            # Nor would one in the middle of stopping it.
            with uninterrupted():
                stop_embedded(settings.home)


def dagster_storage(store: Store) -> str:
    """The address of Dagster's own storage, made ready for it; a secret.

    It lies in the database of cases unless ``DAGSTER_POSTGRES_URL`` names another.
    """
    settings = store.settings
    if settings.dagster_postgres_url is not None:
        return settings.dagster_url(store.database_url)
    ensure_dagster_schema(store.engine)
    return dagster_storage_url(store.database_url)
