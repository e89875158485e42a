"""``pims up``: the database, the Dagster UI, its daemon and the REST API, until Ctrl-C.

Its processes are children of this one, each in its own session, so that Ctrl-C reaches them only
through this process and in order. Their start and stop belong in ``services``.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from pims_pipeline.cli.demo.clinics import demo_api_key, register_demo_clinics
from pims_pipeline.cli.ports import API_PORT
from pims_pipeline.cli.runtime import Command, Store, dagster_storage, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.cli.up.addresses import Address, check_free, simulator_address
from pims_pipeline.cli.up.announcement import KEY_SLUG, announcement
from pims_pipeline.cli.up.code_server import CodeServerKeeper
from pims_pipeline.cli.up.dagster_process import RuntimeFiles, dagster_command
from pims_pipeline.cli.up.environment import (
    api_environment,
    code_server_environment,
    dagster_service_environment,
    plain_environment,
)
from pims_pipeline.cli.up.services import Service, watch
from pims_pipeline.cli.up.simulator import simulator_command
from pims_pipeline.composition import api_database_url
from pims_pipeline.domain.console.links import CONSOLE_PATH
from pims_pipeline.operations.clinics import clinics_to_partition
from pims_pipeline.orchestration.services import dagster_services
from pims_pipeline.settings import Settings
from pims_pipeline.store.dagster.connections import check_storage
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.tenancy import let_api_log_in

_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
_PIMS = "from pims_pipeline.cli.main import main; main()"


@click.command(
    cls=Command,
    epilog=examples("pims up", "pims up --demo", "pims up --port 3001 --api-port 8001 --demo"),
)
@click.option(
    "--demo",
    is_flag=True,
    help="Also simulate IDEXX Neo and Vetspire, with three clinics registered there. One of them "
    "gets a key to the API, shown with a command to try it, and revoked at the end.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="The port of the Dagster UI.",
)
@click.option(
    "--api-port",
    type=click.IntRange(1, 65535),
    default=API_PORT,
    show_default=True,
    help="The port of the REST API.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. The Dagster UI asks for no password: any other address opens "
    "it to the network.",
)
@click.pass_obj
def up(settings: Settings, *, demo: bool, port: int, api_port: int, host: str) -> None:
    """Start everything: the database, the Dagster UI, its daemon, the API. Ctrl-C stops it.

    The database is the embedded one unless PIMS_DATABASE_URL names another; its tables are
    brought up to date. For another database the API needs PIMS_API_DATABASE_URL, and is not
    started without it. With --demo, the clinics of `pims demo` are registered at a simulated
    vendor, which starts with a fresh calendar.
    """
    ui, api = Address(host, port), Address(host, api_port)
    if port == api_port:
        raise Misused("--port and --api-port are the same")
    check_free(ui, "--port")
    check_free(api, "--api-port")
    # This command reports the start and the stop itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with interruptible():
        try:
            with ExitStack() as stack, undisturbed_end():
                watch(_start(stack, settings, ui, api, demo=demo))
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


def _start(
    stack: ExitStack, settings: Settings, ui: Address, api: Address, *, demo: bool
) -> list[Callable[[], None]]:
    """Start everything, and announce it.

    Returns:
        The checks to make from then on.
    """
    say("Starting the database, the Dagster UI, its daemon and the API …", err=True)
    vendor = _vendor(settings) if demo else None
    services = [] if vendor is None else [stack.enter_context(vendor.service)]
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    if vendor is not None:
        vendor.service.wait_for(f"{vendor.address.url}/login", services)
        register_demo_clinics(store, vendor.address.url)
    started = _start_services(stack, store, ui, api, services)
    key = None
    if started.serves_api and vendor is not None:
        key = stack.enter_context(demo_api_key(store, KEY_SLUG))
    text = announcement(
        ui,
        api if started.serves_api else None,
        None if vendor is None else vendor.address,
        key=key,
        logs=[service.log for service in services],
    )
    say(text)
    files = started.files
    keeper = CodeServerKeeper(started.code_server, files.code_asked, files.code_seen)
    others = [each.check for each in services if each is not started.code_server]
    return [*others, keeper.check]


class Started(NamedTuple):
    """What ``_start_services`` started."""

    code_server: Service
    files: RuntimeFiles
    serves_api: bool


def _start_services(
    stack: ExitStack, store: Store, ui: Address, api: Address, services: list[Service]
) -> Started:
    """Start Dagster's processes, and the API if its login is known; wait until all respond."""
    settings, given = store.settings, os.environ
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pims-up-"))
    files = RuntimeFiles(Path(directory))
    storage = dagster_storage(store)
    check_storage(storage)
    dagster = dagster_services(settings.home, storage, files.code_socket)
    files.clinics.write_text("\n".join(clinics_to_partition(store.engine)))

    more = _code_server_variables(settings, ui, api)
    code_environment = code_server_environment(given, dagster.environment, more)
    code = _service(settings, "dagster-code-server", dagster.code_server, code_environment)
    # Stopped after those that use it.
    stack.callback(code.stop)

    def start(name: str, environment: Mapping[str, str], command: Sequence[str]) -> Service:
        service = _service(settings, name, command, environment)
        services.append(stack.enter_context(service))
        return service

    serving = None
    if (variables := _api_variables(store, ui)) is not None:
        words = ("-c", _PIMS, "serve", f"--host={api.host}", f"--port={api.port}")
        serving = start("pims-serve", variables, [sys.executable, *words])
    dagster_environment = {
        **dagster_service_environment(given, dagster.environment),
        **_UNBUFFERED,
    }
    command = dagster_command(
        ui.host, ui.port, workspace=dagster.workspace, names=_host_names(settings), files=files
    )
    main = start("dagster", dagster_environment, command)
    main.wait_until(files.prepared.exists, "its database", services)
    code.start()
    services.append(code)
    main.wait_for(f"{ui.url}/server_info", services)
    if serving is not None:
        serving.wait_for(f"{api.url}/health", services)
    return Started(code, files, serving is not None)


def _service(
    settings: Settings, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Service:
    return Service(name, command, environment, settings.home / "logs" / f"{name}.log")


def _host_names(settings: Settings) -> list[str]:
    """The host names under which clients reach the Dagster UI, beside this machine's own."""
    names = list(settings.allowed_hosts)
    if settings.dagster_graphql_url is not None:
        parts = urlsplit(settings.dagster_graphql_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = parts.hostname or ""
        names.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return names


def _code_server_variables(settings: Settings, ui: Address, api: Address) -> dict[str, str]:
    """The variables of the code server beside its settings."""
    # Alerts and reports link to this UI, unless the settings give it a public address.
    links = ui.graphql_url
    if settings.dagster_graphql_url is not None:
        links = f"{settings.dagster_ui_url()}/graphql"
    return {
        "PIMS_HOME": str(settings.home),
        "DAGSTER_GRAPHQL_URL": links,
        "PIMS_CONSOLE_URL": settings.console_url or f"{api.url}{CONSOLE_PATH}",
        **_UNBUFFERED,
    }


def _api_variables(store: Store, ui: Address) -> dict[str, str] | None:
    """The environment of the API's process: its own login, and no secret that it does not need.

    None if PIMS_DATABASE_URL is set without PIMS_API_DATABASE_URL.
    """
    settings = store.settings
    url = api_database_url(settings)
    if url is None:
        if settings.database_url is not None:
            return None
        url = let_api_log_in(store.engine)
    more = {
        "PIMS_HOME": str(settings.home),
        "PIMS_API_DATABASE_URL": url,
        "DAGSTER_GRAPHQL_URL": ui.graphql_url,
        **_UNBUFFERED,
    }
    return api_environment(os.environ, more)


class Vendor(NamedTuple):
    """The simulated vendor: a process without secrets."""

    address: Address
    service: Service


def _vendor(settings: Settings) -> Vendor:
    """The simulator's process, not started yet."""
    address = simulator_address()
    environment = {**plain_environment(os.environ), **_UNBUFFERED}
    command = simulator_command(address.port)
    return Vendor(address, _service(settings, "pims-simulate", command, environment))
