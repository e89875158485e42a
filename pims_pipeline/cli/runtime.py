"""The composition root of the terminal: settings → database → vault, opened and closed.

What each command does with them stands in the module named after its noun.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import Engine

from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.providers.registry import ProviderOptions
from pims_pipeline.settings import Settings, load_settings
from pims_pipeline.store.database import (
    check_migrated,
    create_engine,
    dagster_storage_url,
    ensure_dagster_schema,
)
from pims_pipeline.store.embedded import encryption_key, start_embedded, stop_embedded
from pims_pipeline.store.vault import Vault


class Command(click.Command):
    """A command whose context object is the ``Settings``; logs go to standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the environment, set logging up, and run.

        Raises:
            SettingsError: If the environment holds a wrong value.
        """
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        ctx.obj = settings
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
    if settings.database_url is not None:
        with _opened(settings, settings.database_url.get_secret_value(), migrated) as store:
            yield store
        return
    url = start_embedded(settings.home)
    try:
        with _opened(settings, url, migrated) as store:
            yield store
    finally:
        stop_embedded(settings.home)


@contextmanager
def _opened(settings: Settings, url: str, migrated: bool) -> Iterator[Store]:  # noqa: FBT001 - private
    engine = create_engine(url)
    try:
        if migrated:
            check_migrated(engine)
        yield Store(settings, url, engine, _vault(settings))
    finally:
        engine.dispose()


def _vault(settings: Settings) -> Vault:
    key = settings.encryption_key_bytes()
    retired = settings.retired_key_bytes()
    if key is not None:
        return Vault(key, retired)
    # Settings refuse a database elsewhere without a key, so this one is embedded.
    return Vault.from_base64(encryption_key(settings.home))


def dagster_storage(store: Store) -> str:
    """The address of Dagster's own storage, made ready for it; a secret.

    It lies in the database of cases unless ``DAGSTER_POSTGRES_URL`` names another.
    """
    settings = store.settings
    if settings.dagster_postgres_url is not None:
        return settings.dagster_url(store.database_url)
    ensure_dagster_schema(store.engine)
    return dagster_storage_url(store.database_url)


def provider_options(settings: Settings) -> ProviderOptions:
    """How adapters go about their work."""
    return ProviderOptions(
        artifacts_dir=settings.home / "logins",
        chromium_path=settings.chromium_path,
        headless=settings.browser_headless,
        requests_per_second=settings.requests_per_second,
    )
