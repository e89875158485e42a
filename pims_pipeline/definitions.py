"""Builds the definitions that Dagster loads: settings → sources → code location.

A composition root: it joins orchestration with settings and adapters. ``component`` does the same
for the ``defs.yaml`` of another project. Importing it builds nothing; loading the definitions opens
no connection. What the CLI needs too belongs in ``composition``.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.alerting.delivery import Alerting
from pims_pipeline.alerting.notifiers import LogNotifier, Notifier
from pims_pipeline.composition import (
    database_url,
    deletion_policy,
    open_engine,
    open_vault,
    provider_options,
    set_up_logging,
    webhook_networks,
)
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.observability.heartbeat import Heartbeat
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.providers.registry import build_provider
from pims_pipeline.settings import Settings, load_settings
from pims_pipeline.store.secrets.vault import Vault


@dg.definitions
def defs() -> dg.Definitions:
    """The code location, configured by the environment.

    Raises:
        SettingsError: If a variable is wrong; the message names it.
    """
    return logged_definitions(load_settings())


def logged_definitions(settings: Settings) -> dg.Definitions:
    """The code location of ``settings``, after this process's logs are set up."""
    set_up_logging(settings)
    # Dagster has its own handlers; with ours, each line would be logged twice.
    logging.getLogger("dagster").propagate = False
    return build_definitions(settings)


def build_definitions(
    settings: Settings,
    *,
    open_store: Callable[[], AbstractContextManager[Engine]] | None = None,
    vault: Callable[[], Vault] | None = None,
) -> dg.Definitions:
    """Return the code location for the database, vault and vendors of ``settings``.

    Args:
        settings: The configuration.
        open_store: Opens the database; by default, as the settings say.
        vault: Opens the vault; by default, as the settings say.
    """
    options = provider_options(settings)
    sources = Sources(
        open_store=open_store or partial(_open_store, settings),
        open_vault=vault or partial(open_vault, settings),
        open_provider=lambda clinic: build_provider(clinic, options),
        clinics_at_once=settings.clinics_at_once,
        clinics_per_run=settings.clinics_per_run,
        clinic_timeout=settings.clinic_timeout_seconds,
        run_timeout=settings.run_timeout_seconds,
        retention_days=settings.retention_days,
        whole_listing_age=timedelta(minutes=settings.whole_listing_minutes),
        deletion_policy=deletion_policy(settings),
        alerting=alerting(settings),
        webhook_networks=webhook_networks(settings),
        console=ConsoleLinks(settings.console_address()),
    )
    return code_location(sources, partition_start=settings.partition_start)


def alerting(settings: Settings) -> Alerting:
    """How alerts are delivered: to Slack if it is configured, else to the log."""
    notifier: Notifier = LogNotifier()
    if settings.slack_bot_token is not None and settings.slack_channel is not None:
        # The import takes a tenth of a second.
        from pims_pipeline.alerting.slack import SlackNotifier  # noqa: PLC0415 - see above

        token = settings.slack_bot_token.get_secret_value()
        notifier = SlackNotifier(token, settings.slack_channel)
    url = settings.heartbeat_url
    return Alerting(
        notifier=notifier,
        dagster_ui_url=settings.dagster_ui_url(),
        heartbeat=None if url is None else Heartbeat(url.get_secret_value()),
    )


@contextmanager
def _open_store(settings: Settings) -> Iterator[Engine]:
    with open_engine(settings, database_url(settings)) as engine:
        yield engine
