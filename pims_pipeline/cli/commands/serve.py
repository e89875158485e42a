"""``pims serve``: serve the REST API and the console in the foreground until Ctrl-C.

It connects as a role that sees one clinic at a time, and has no encryption key. Routes belong in
``pims_pipeline.api``.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from click.core import ParameterSource

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.api.server import listen, url_of
from pims_pipeline.api.server import serve as serve_app
from pims_pipeline.cli.console_runs import ConsoleRuns
from pims_pipeline.cli.ports import API_PORT
from pims_pipeline.cli.runtime import Command, own_database
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.composition import api_database_url, open_engine
from pims_pipeline.console.app import mount_console
from pims_pipeline.console.context import ConsoleContext, IdentityProxy
from pims_pipeline.domain.console.links import CONSOLE_PATH
from pims_pipeline.local_trust.origins import OwnAddresses, is_loopback, own_addresses
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.operations.operators.passwords import prepare
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.revision import check_migrated
from pims_pipeline.store.database.tenancy import (
    CONSOLE_ROLE_STATEMENTS,
    LOGIN_STATEMENT,
    check_api_role,
    has_console_role,
    let_api_log_in,
)

_STATEMENT_SECONDS = 30
"""The longest that one statement of a client's request may run."""
_TRUSTED_SECONDS = 5
"""A connection used within this time is used again without a check that it is alive."""


@click.command(cls=Command, epilog=examples("pims serve", "pims serve --host 0.0.0.0 --port 8080"))
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="HOST",
    show_envvar=True,
    show_default="HOST, else 127.0.0.1",
    help="The address to listen on. 0.0.0.0 opens it to the network: put it behind a TLS proxy.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=API_PORT,
    envvar="PORT",
    show_envvar=True,
    show_default=f"PORT, else {API_PORT}",
    help="The port to listen on; 0 takes any free port.",
)
@click.pass_context
def serve(context: click.Context, host: str, port: int) -> None:
    """Serve the REST API and the console. Ctrl-C stops it after the running requests have finished.

    Keys come from `pims keys create`, the console's operators from `pims operators add`. The
    database is that of PIMS_API_DATABASE_URL, or the embedded one if neither that nor
    PIMS_DATABASE_URL is set; run `pims migrate` before. Syncs are started through the Dagster of
    DAGSTER_GRAPHQL_URL.
    """
    settings: Settings = context.obj
    if context.get_parameter_source("host") is ParameterSource.ENVIRONMENT:
        # Some shells export it as the machine's name, which opens the API to the network.
        say(f"The address {host} comes from the variable HOST; --host chooses another.", err=True)
    # This command reports the start and the stop itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with listen(host, port) as listener, interruptible():
        try:
            own = api_addresses(settings, *listener.getsockname()[:2])
            with api_database(settings) as url, open_api(settings, url, own) as opened:
                address = url_of(listener)
                app = create_app(opened)
                mount_console(app, console_context(settings, opened))
                serve_app(app, listener, lambda: say(_welcome(address)))
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


def api_addresses(settings: Settings, host: str, port: int) -> OwnAddresses | None:
    """The host names that the API accepts; None if it accepts any.

    On loopback it accepts this machine's names and PIMS_ALLOWED_HOSTS. On another address it
    accepts PIMS_ALLOWED_HOSTS, and any name if that is unset. A bare IP address is always
    accepted, because orchestrators probe by address.
    """
    if not is_loopback(host) and not settings.allowed_hosts:
        return None
    return own_addresses(host, port, settings.allowed_hosts, any_address=True)


@contextmanager
def api_database(settings: Settings) -> Iterator[str]:
    """The URL of the database of cases with the API's login; a secret.

    Raises:
        Refused: If PIMS_DATABASE_URL is set without PIMS_API_DATABASE_URL.
    """
    if (named := api_database_url(settings)) is not None:
        yield named
        return
    if settings.database_url is not None:
        raise Refused(
            "PIMS_API_DATABASE_URL must be set when PIMS_DATABASE_URL is: the API has a login of "
            f"its own, which sees one clinic at a time; create it with: {LOGIN_STATEMENT}"
        )
    with own_database(settings) as url:
        with open_engine(settings, url) as engine:
            api_url = let_api_log_in(engine)
        yield api_url


@contextmanager
def open_api(
    settings: Settings, url: str, own_addresses: OwnAddresses | None = None
) -> Iterator[ApiContext]:
    """The API's dependencies, closed at the end of the block.

    Args:
        settings: The process's settings.
        url: See ``api_database``.
        own_addresses: See ``ApiContext``.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
        DatabaseNotMigrated: If its tables are not up to date.
        WrongApiRole: If the login may do more than the API should, or less.
    """
    token = settings.metrics_token
    dagster_ui_url = settings.dagster_ui_url()
    engine = create_engine(
        url,
        pool_size=settings.database_pool_size,
        lock_seconds=settings.lock_timeout_seconds,
        trusted_seconds=_TRUSTED_SECONDS,
        statement_seconds=_STATEMENT_SECONDS,
    )
    with closing(DagsterClient(settings.dagster_graphql_url or dagster_ui_url)) as dagster:
        try:
            check_migrated(engine)
            check_api_role(engine)
            yield ApiContext(
                engine=engine,
                dagster=dagster,
                dagster_ui_url=dagster_ui_url,
                partition_start=settings.partition_start,
                requests_per_minute=settings.api_requests_per_minute,
                metrics_token=None if token is None else token.get_secret_value(),
                cors_origins=settings.cors_origins,
                own_addresses=own_addresses,
                trusted_proxies=settings.trusted_proxies,
            )
        finally:
            engine.dispose()


def console_context(settings: Settings, api: ApiContext) -> ConsoleContext:
    """What the console is built with: the API's connections, and what the settings say.

    Warns where the database lacks the console's role.
    """
    has_role = has_console_role(api.engine)
    if not has_role:
        get_logger(__name__).warning("console_role_missing", run=CONSOLE_ROLE_STATEMENTS)
    prepare()
    header = settings.console_proxy_header
    return ConsoleContext(
        engine=api.engine,
        dagster_ui_url=api.dagster_ui_url,
        runs=ConsoleRuns(api.dagster),
        partition_start=api.partition_start,
        own_addresses=api.own_addresses or OwnAddresses(authorities=frozenset()),
        proxy=IdentityProxy(header, settings.console_proxy_addresses) if header else None,
        has_role=has_role,
        stopping=api.stopping,
        clock=api.clock,
    )


def _welcome(address: str) -> str:
    return (
        f"REST API: {address}\nIts documentation: {address}/docs\n"
        f"Console: {address}{CONSOLE_PATH}/\nCtrl-C stops it."
    )
