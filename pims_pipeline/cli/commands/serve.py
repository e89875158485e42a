"""``pims serve``: the REST API, in front until Ctrl-C.

It connects as a role that sees one clinic at a time, and holds no key of the vault. What is
served stands in the room ``api``.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.api.server import listen, url_of
from pims_pipeline.api.server import serve as serve_app
from pims_pipeline.cli.runtime import API_PORT, Command, own_database
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.composition import open_engine
from pims_pipeline.local_trust.origins import OwnAddresses, is_loopback, own_addresses
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.migrate import check_migrated
from pims_pipeline.store.database.tenancy import LOGIN_STATEMENT, check_api_role, let_api_log_in

_STATEMENT_SECONDS = 30
"""The longest that a client's question may keep the database busy."""
_TRUSTED_SECONDS = 5
"""A connection used just before is used again without asking whether it is alive."""


@click.command(cls=Command, epilog=examples("pims serve", "pims serve --host 0.0.0.0 --port 8080"))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; 0.0.0.0 lets the network in, which belongs behind a proxy with TLS.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=API_PORT,
    show_default=True,
    help="Where to listen; 0 takes any free port.",
)
@click.pass_obj
def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the REST API. Ctrl-C stops it, once the requests under way have been answered.

    Keys come from `pims keys create`. The database is that of PIMS_API_DATABASE_URL, or the
    embedded one where neither that nor PIMS_DATABASE_URL is set; `pims migrate` must have
    brought its tables up to date. the Dagster UI are those of DAGSTER_GRAPHQL_URL.
    """
    # What it says of its starting and stopping is said better here.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with listen(host, port) as listener, interruptible():
        try:
            own = api_addresses(settings, *listener.getsockname()[:2])
            with api_database(settings) as url, open_api(settings, url, own) as context:
                address = url_of(listener)
                serve_app(create_app(context), listener, lambda: say(_welcome(address)))
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


def api_addresses(settings: Settings, host: str, port: int) -> OwnAddresses | None:
    """The names under which the API answers; None if it answers under any.

    On loopback it knows its names. Elsewhere it knows those of PIMS_ALLOWED_HOSTS alone, and
    without them takes the word of whatever led the request here. A bare address will do in
    any case: orchestrators probe by address.
    """
    if not is_loopback(host) and not settings.allowed_hosts:
        return None
    return own_addresses(host, port, settings.allowed_hosts, any_address=True)


@contextmanager
def api_database(settings: Settings) -> Iterator[str]:
    """The address of the database of cases for the API's role; a secret.

    Raises:
        Refused: If nobody said as whom the API should connect to a database elsewhere.
    """
    if settings.api_database_url is not None:
        yield settings.api_database_url.get_secret_value()
        return
    if settings.database_url is not None:
        raise Refused(
            "PIMS_API_DATABASE_URL must be set when PIMS_DATABASE_URL is: the API has a login of "
            f"its own, which sees one clinic at a time; make it with: {LOGIN_STATEMENT}"
        )
    with own_database(settings) as url:
        with open_engine(settings, url) as engine:
            api_url = let_api_log_in(engine)
        yield api_url


@contextmanager
def open_api(
    settings: Settings, url: str, own_addresses: OwnAddresses | None = None
) -> Iterator[ApiContext]:
    """What the API works with, for as long as the block runs.

    Args:
        settings: The process's.
        url: The address of the database of cases for the API's role; a secret.
        own_addresses: See ``ApiContext``.

    Raises:
        DatabaseUnavailable: If it cannot be reached.
        DatabaseNotMigrated: If its tables are not this program's.
        WrongApiRole: If it lets the connection do more than the API should, or less.
    """
    token = settings.metrics_token
    pages = settings.dagster_ui_url()
    engine = create_engine(
        url,
        pool_size=settings.database_pool_size,
        lock_seconds=settings.lock_timeout_seconds,
        trusted_seconds=_TRUSTED_SECONDS,
        statement_seconds=_STATEMENT_SECONDS,
    )
    with closing(DagsterClient(settings.dagster_graphql_url or pages)) as dagster:
        try:
            check_migrated(engine)
            check_api_role(engine)
            yield ApiContext(
                engine=engine,
                dagster=dagster,
                dagster_ui_url=pages,
                partition_start=settings.partition_start,
                requests_per_minute=settings.api_requests_per_minute,
                metrics_token=None if token is None else token.get_secret_value(),
                cors_origins=settings.cors_origins,
                own_addresses=own_addresses,
                trusted_proxies=settings.trusted_proxies,
            )
        finally:
            engine.dispose()


def _welcome(address: str) -> str:
    return f"The REST API answers at {address}\nIts documentation: {address}/docs\nCtrl-C stops it."
