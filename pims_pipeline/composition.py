"""Builds from the settings what both composition roots need: database, vault, logs, options.

The roots are the terminal (``cli``) and the code location (``definitions``). What runs alone need
belongs in ``definitions``. Every command loads this module, so it imports what only some settings
or commands need where it is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.observability.axiom import AxiomSink
from pims_pipeline.observability.axiom_client import axiom_ingest
from pims_pipeline.observability.logging import configure_logging, get_logger
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.settings import FORMER_VARIABLES, Settings, exposed_secret_files
from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.revision import check_migrated

if TYPE_CHECKING:
    from pims_pipeline.store.secrets.vault import Vault

_log = get_logger(__name__)
_POOL_TIMEOUT_SECONDS = 120.0


def set_up_logging(settings: Settings) -> None:
    """Send this process's log lines to standard error, and to Axiom if it is configured."""
    sink = None
    if settings.axiom_token is not None and settings.axiom_dataset is not None:
        token = settings.axiom_token.get_secret_value()
        sink = AxiomSink(partial(axiom_ingest, token, settings.axiom_dataset, settings.axiom_url))
    configure_logging(settings.log_level, settings.log_format, sink=sink)
    warn_of_ignored(settings)
    warn_of_exposed_files()


def warn_of_ignored(settings: Settings) -> None:
    """Log each variable of the v4.0 service that is ignored for another value of ours."""
    for ignored in settings.ignored_variables():
        _log.warning("variable_ignored", variable=ignored, used=FORMER_VARIABLES[ignored])


def warn_of_exposed_files() -> None:
    """Log each variable whose file of a secret every user of the machine may read."""
    for variable in exposed_secret_files():
        _log.warning("secret_file_readable_by_all", variable=variable)


def database_url(settings: Settings) -> str:
    """The address of the database of cases, a secret; starts the embedded database by default.

    It names the schema of the tables, if the settings do.

    Raises:
        EmbeddedDatabaseFailed: If the embedded database does not start.
    """
    if settings.database_url is not None:
        return settings.in_our_schema(settings.database_url.get_secret_value())
    # Only the embedded database needs the server's wheel.
    from pims_pipeline.store.embedded.server import start_embedded  # noqa: PLC0415 - see above

    return settings.in_our_schema(start_embedded(settings.home))


def api_database_url(settings: Settings) -> str | None:
    """The address at which the API logs in, a secret, like ``database_url``; None if unset."""
    url = settings.api_database_url
    return None if url is None else settings.in_our_schema(url.get_secret_value())


def shared_dagster_storage_url(settings: Settings) -> str | None:
    """The address of Dagster's own storage, a secret; None if the settings name no database."""
    if (named := settings.dagster_url()) is not None:
        return named
    if settings.database_url is None:
        return None
    return dagster_storage_url(database_url(settings))


@contextmanager
def open_engine(settings: Settings, url: str, *, migrated: bool = True) -> Iterator[Engine]:
    """An engine on the database of cases, for as long as the block runs.

    Args:
        settings: The process's settings.
        url: The result of ``database_url``.
        migrated: Whether its tables must be up to date.

    Raises:
        DatabaseUnavailable: If it cannot be reached.
        DatabaseNotMigrated: If its tables are not those of this version.
    """
    engine = create_engine(
        url,
        pool_size=settings.database_pool_size,
        # A clinic waits for the transactions of others, which wait for locks.
        pool_timeout_seconds=_POOL_TIMEOUT_SECONDS,
        lock_seconds=settings.lock_timeout_seconds,
    )
    try:
        if migrated:
            check_migrated(engine)
        yield engine
    finally:
        engine.dispose()


def open_vault(settings: Settings) -> "Vault":
    """The vault, with the keys of the environment or the embedded database's own key."""
    # Only syncs and commands about logins need cryptography.
    from pims_pipeline.store.embedded.encryption_key import (  # noqa: PLC0415 - see above
        encryption_key,
    )
    from pims_pipeline.store.secrets.vault import Vault  # noqa: PLC0415 - see above

    key = settings.encryption_key_bytes()
    if key is None:
        # The settings require a key for any other database, so this one is embedded.
        retired = [key.get_secret_value() for key in settings.encryption_keys_retired]
        return Vault.from_base64(encryption_key(settings.home), retired)
    return Vault(key, settings.retired_key_bytes())


def webhook_networks(settings: Settings) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks that webhooks may call although they are not public."""
    return tuple(ip_network(each, strict=False) for each in settings.webhook_allowed_networks)


def provider_options(settings: Settings) -> ProviderOptions:
    """The options of all adapters."""
    is_rate_set = "requests_per_second" in settings.model_fields_set
    return ProviderOptions(
        login=LoginOptions(
            artifacts_dir=settings.home / "logins",
            chromium_path=settings.chromium_path,
            headless=settings.browser_headless,
            sandbox=settings.browser_sandbox,
            at_once=settings.browser_logins_at_once,
        ),
        requests=RequestOptions(
            per_second=settings.requests_per_second if is_rate_set else None,
            total_timeout=settings.request_timeout_seconds,
        ),
    )


def deletion_policy(settings: Settings) -> DeletionPolicy:
    """The limits of the deletion guard."""
    return DeletionPolicy(
        min_orphans=settings.deletion_guard_min,
        max_percent=settings.deletion_guard_percent,
    )
