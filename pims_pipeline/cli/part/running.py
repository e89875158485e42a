"""The parts that ``pims part`` runs in the foreground: code server, Dagster UI, daemon.

What a part does belongs in ``orchestration.parts``.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pims_pipeline.cli.ports import CODE_PORT, UI_PORT
from pims_pipeline.cli.runtime import Command
from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.interrupts import interruptible
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.composition import shared_dagster_storage_url
from pims_pipeline.local_trust.origins import own_addresses
from pims_pipeline.orchestration.instance import dagster_environment
from pims_pipeline.orchestration.parts import daemon_beat, run_daemon_alone, serve_ui_alone
from pims_pipeline.orchestration.services import code_server_command, remote_workspace
from pims_pipeline.setting_files import without_replaced_files
from pims_pipeline.settings import Settings

_Function = TypeVar("_Function", bound=Callable[..., Any])
_host = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. 0.0.0.0 opens it to the network, and it asks for no password: "
    "let only the other parts reach it.",
)


def _port(default: int) -> Callable[[_Function], _Function]:
    return click.option(
        "--port",
        type=click.IntRange(1, 65535),
        default=default,
        show_default=True,
        help="The port to listen on.",
    )


_code_server = click.option(
    "--code-server",
    "address",
    default=f"127.0.0.1:{CODE_PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the code server listens.",
)


@click.command("code-server", cls=Command, epilog=examples("pims part code-server --host 0.0.0.0"))
@_host
@_port(CODE_PORT)
@click.pass_obj
def code_server(settings: Settings, host: str, port: int) -> None:
    """Load the code location for the webserver and the daemon, and start runs.

    Runs are its children: when it stops, they stop. It needs PIMS_DATABASE_URL and ENCRYPTION_KEY.
    """
    if settings.database_url is None:
        raise Refused("PIMS_DATABASE_URL must be set: the code server syncs to that database")
    _enter_instance(settings)
    command = code_server_command(host, port)
    # In place of this process, which may have threads: runs are forked from one that has none.
    os.execv(command[0], command)  # noqa: S606 - this interpreter, arguments of our own


@click.command(
    cls=Command,
    epilog=examples("pims part webserver --host 0.0.0.0 --code-server code-server:4000"),
)
@_host
@_port(UI_PORT)
@_code_server
@click.pass_obj
def webserver(settings: Settings, host: str, port: int, address: str) -> None:
    """Serve the Dagster UI, behind the guard against foreign web pages.

    It needs DAGSTER_POSTGRES_URL, and PIMS_ALLOWED_HOSTS for the names by which it is reached.
    """
    from pims_pipeline.local_trust.browser_guard import (  # noqa: PLC0415 - for this part alone
        BrowserGuard,
    )

    workspace = _workspace(settings, "webserver", address)
    own = own_addresses(host, port, settings.allowed_hosts)
    with interruptible():
        try:
            serve_ui_alone(
                workspace, host, port, lambda application: BrowserGuard(application, own)
            )
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


@click.command(cls=Command, epilog=examples("pims part daemon --code-server code-server:4000"))
@_code_server
@click.pass_obj
def daemon(settings: Settings, address: str) -> None:
    """Run Dagster's daemon: schedules, sensors, the queue of runs. Start it once.

    It needs DAGSTER_POSTGRES_URL.
    """
    workspace = _workspace(settings, "daemon", address)
    with interruptible():
        try:
            run_daemon_alone(workspace, daemon_beat(settings.home))
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


def _workspace(settings: Settings, part: str, address: str) -> Path:
    """Enter the Dagster instance, and write the file that names the code server at ``address``.

    Each part has a file of its own: parts may share the directory, and start at the same time.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise Misused("--code-server must be a host and a port, such as code-server:4000")
    file = _enter_instance(settings) / f"{part}.yaml"
    return remote_workspace(file, host.removeprefix("[").removesuffix("]"), int(port))


def _enter_instance(settings: Settings) -> Path:
    """Give this process the variables of the Dagster instance; returns DAGSTER_HOME."""
    url = shared_dagster_storage_url(settings)
    if url is None:
        raise Refused(
            "DAGSTER_POSTGRES_URL must be set: the parts share Dagster's runs and events; on one "
            "machine, `pims up` starts all parts without it"
        )
    more = dagster_environment(settings.home, url)
    kept = without_replaced_files({**os.environ, **more})
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]
    os.environ.update(more)
    # Dagster has its own handlers; with ours, each line would be logged twice.
    logging.getLogger("dagster").propagate = False
    return Path(more["DAGSTER_HOME"])
