"""What Dagster loads: settings → sources → the code location, built when it is asked for.

A composition root: the only place where orchestration meets settings and the adapters.
Importing this module builds nothing; loading the definitions opens no connection.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.reconciliation import DeletionPolicy
from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.providers.registry import ProviderOptions, build_provider
from pims_pipeline.settings import Settings, load_settings
from pims_pipeline.store.database import check_migrated, create_engine
from pims_pipeline.store.embedded import encryption_key, start_embedded
from pims_pipeline.store.vault import Vault


@dg.definitions
def defs() -> dg.Definitions:
    """The code location, as the environment sets it up.

    Raises:
        SettingsError: If a variable is wrong; names it.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    # Dagster has handlers of its own; ours would say everything a second time.
    logging.getLogger("dagster").propagate = False
    return build_definitions(settings)


def build_definitions(settings: Settings) -> dg.Definitions:
    """The code location over the settings' database, vault and vendors."""
    return code_location(build_sources(settings), partition_start=settings.partition_start)


def build_sources(settings: Settings) -> Sources:
    """What runs work with, by these settings; nothing is opened yet."""
    options = ProviderOptions(
        artifacts_dir=settings.home / "logins",
        chromium_path=settings.chromium_path,
        headless=settings.browser_headless,
        requests_per_second=settings.requests_per_second,
    )
    return Sources(
        open_store=partial(open_store, settings),
        open_vault=partial(open_vault, settings),
        open_provider=lambda clinic: build_provider(clinic, options),
        clinics_at_once=settings.clinics_at_once,
        deletion_policy=DeletionPolicy(
            min_orphans=settings.deletion_guard_min,
            max_percent=settings.deletion_guard_percent,
        ),
    )


def database_url(settings: Settings) -> str:
    """The address of the database of cases; a secret. Starts the embedded one if it is that.

    Raises:
        EmbeddedDatabaseFailed: If it does not start.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return start_embedded(settings.home)


@contextmanager
def open_store(settings: Settings) -> Iterator[Engine]:
    """The database of cases, migrated, for as long as the block runs.

    Raises:
        DatabaseUnavailable, DatabaseNotMigrated: Say what to do.
    """
    # Every clinic at work may hold the lock of its login while it reads its credentials.
    engine = create_engine(database_url(settings), pool_size=settings.clinics_at_once + 4)
    try:
        check_migrated(engine)
        yield engine
    finally:
        engine.dispose()


def open_vault(settings: Settings) -> Vault:
    """The vault: with the keys of the environment, or the embedded database's own."""
    key = settings.encryption_key_bytes()
    if key is None:
        return Vault.from_base64(encryption_key(settings.home))
    return Vault(key, settings.retired_key_bytes())
