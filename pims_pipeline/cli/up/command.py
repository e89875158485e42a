"""``pims up``: the database, the Dagster UI, its daemon and the REST API, until Ctrl-C.

Its processes are children of this one, each in a session of its own, so that Ctrl-C
reaches them through here alone and in order. How they are started and stopped stands in
``up_services``.
"""

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from pims_pipeline.cli.demo.clinics import DEMO_SLUGS, demo_api_key, register_demo_clinics
from pims_pipeline.cli.runtime import API_PORT, Command, Store, dagster_storage, open_store
from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.cli.up.environment import (
    api_environment,
    code_server_environment,
    dagster_service_environment,
    plain_environment,
)
from pims_pipeline.cli.up.services import Service, watch
from pims_pipeline.cli.up.webserver import webserver_command
from pims_pipeline.local_trust.origins import is_loopback
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline.store.database.tenancy import let_api_log_in

_LOOPBACK = "127.0.0.1"
_SIMULATOR_PORT = 8400
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
_DEMO_SLUG = DEMO_SLUGS["1001"]
_PIMS = "from pims_pipeline.cli.main import main; main()"
_WITHOUT_API = (
    "The REST API is not served: PIMS_API_DATABASE_URL does not name its login; "
    "`pims serve` tells how to make one."
)
_TRY = (
    "Try: materialize `appointments` for a clinic and some days, then book, move or delete a "
    "appointment at the pretend vendor's and do it again."
)


class Address(NamedTuple):
    """Where a server is to answer."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared only
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def graphql_url(self) -> str:
        """Where the Dagster UI, if they are at this address, answer programs."""
        return f"{self.url}/graphql"


@click.command(
    cls=Command,
    epilog=examples("pims up", "pims up --demo", "pims up --port 3001 --api-port 8001 --demo"),
)
@click.option("--demo", is_flag=True, help="Also serve a pretend IDEXX Neo with three clinics.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="Where the Dagster UI answer.",
)
@click.option(
    "--api-port",
    type=click.IntRange(1, 65535),
    default=API_PORT,
    show_default=True,
    help="Where the REST API answers.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="the Dagster UI ask for no password: other addresses show them to the network.",
)
@click.pass_obj
def up(settings: Settings, *, demo: bool, port: int, api_port: int, host: str) -> None:
    """Start everything: the database, the Dagster UI, its daemon, the API. Ctrl-C stops it.

    The database is the embedded one unless PIMS_DATABASE_URL names another; its tables are
    brought up to date. Elsewhere the API needs PIMS_API_DATABASE_URL, and is left out without
    it. With --demo, the clinics of `pims demo` are registered at a pretend vendor, which starts
    with a fresh calendar, and one of them gets a key to the API for as long as this runs.
    """
    address, api = Address(host, port), Address(host, api_port)
    if port == api_port:
        raise Misused("--port and --api-port are the same")
    _check_free(address, "--port")
    _check_free(api, "--api-port")
    # What it says of its starting and stopping is said better here.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with interruptible():
        try:
            with ExitStack() as stack, undisturbed_end():
                services = _start(stack, settings, address, api, demo=demo)
                watch(services)
        except KeyboardInterrupt:
            say("\nStopped.", err=True)


def _start(
    stack: ExitStack, settings: Settings, address: Address, api: Address, *, demo: bool
) -> Sequence[Service]:
    say("Starting the database, the Dagster UI, its daemon and the API …", err=True)
    vendor = _vendor(settings) if demo else None
    services = [] if vendor is None else [stack.enter_context(vendor.service)]
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    if vendor is not None:
        vendor.service.wait_for(f"{vendor.address.url}/login", services)
        register_demo_clinics(store, vendor.address.url)
    serves_api = _start_services(stack, store, address, api, services)
    key = None
    if serves_api and vendor is not None:
        key = stack.enter_context(demo_api_key(store, _DEMO_SLUG))
    lines = [
        *_about_pages(address),
        *(_about_api(api, key) if serves_api else (_WITHOUT_API,)),
        *([] if vendor is None else _about_vendor(vendor.address)),
        "Logs:",
        *(f"  {service.log}" for service in services),
        "Ctrl-C stops everything.",
    ]
    say("\n".join(lines))
    return services


def _start_services(
    stack: ExitStack, store: Store, address: Address, api: Address, services: list[Service]
) -> bool:
    """Add Dagster's processes, and the API where its login is known; all of them answer.

    Returns:
        Whether the API is served.
    """
    from pims_pipeline.orchestration.services import (  # noqa: PLC0415 - costs seconds
        code_server_answers,
        prepare_services,
    )

    settings, given = store.settings, os.environ
    # Beside nothing else, in a directory of this process alone: a socket's path must be short.
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pims-up-"))
    code_socket = Path(directory) / "code.sock"
    dagster = prepare_services(store.engine, settings.home, dagster_storage(store), code_socket)

    def start(name: str, environment: Mapping[str, str], command: Sequence[str]) -> Service:
        service = _service(settings, name, command, environment)
        services.append(stack.enter_context(service))
        return service

    told = code_server_environment(given, dagster.environment, _told(settings, address))
    code = start("dagster-code-server", told, dagster.code_server)
    api_told = _api_environment(store, address)
    serving = None
    if api_told is not None:
        words = ("-c", _PIMS, "serve", f"--host={api.host}", f"--port={api.port}")
        serving = start("pims-serve", api_told, [sys.executable, *words])
    code.wait_until(lambda: code_server_answers(code_socket), "its socket", services)
    told = {**dagster_service_environment(given, dagster.environment), **_UNBUFFERED}
    names = _names(settings)
    command = webserver_command(address.host, address.port, dagster.workspace, names)
    pages = start("dagster-webserver", told, command)
    start("dagster-daemon", told, dagster.daemon)
    pages.wait_for(f"{address.url}/server_info", services)
    if serving is not None:
        serving.wait_for(f"{api.url}/health", services)
    return serving is not None


def _service(
    settings: Settings, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Service:
    return Service(name, command, environment, settings.home / "logs" / f"{name}.log")


def _names(settings: Settings) -> list[str]:
    """Under which names people reach the Dagster UI, beside this machine's own."""
    names = list(settings.allowed_hosts)
    if settings.dagster_graphql_url is not None:
        parts = urlsplit(settings.dagster_graphql_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = parts.hostname or ""
        names.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return names


def _told(settings: Settings, address: Address) -> dict[str, str]:
    """What the code server is told beside its settings."""
    # What runs write to people links to this UI, unless it is known under a better name.
    links = address.graphql_url
    if settings.dagster_graphql_url is not None:
        links = f"{settings.dagster_ui_url()}/graphql"
    return {"PIMS_HOME": str(settings.home), "DAGSTER_GRAPHQL_URL": links, **_UNBUFFERED}


def _api_environment(store: Store, address: Address) -> dict[str, str] | None:
    """What the API's process is told: its own login, and no secret that it does not need.

    None if nobody said as whom it should connect to a database elsewhere.
    """
    settings = store.settings
    if settings.api_database_url is not None:
        url = settings.api_database_url.get_secret_value()
    elif settings.database_url is None:
        url = let_api_log_in(store.engine)
    else:
        return None
    more = {
        "PIMS_HOME": str(settings.home),
        "PIMS_API_DATABASE_URL": url,
        "DAGSTER_GRAPHQL_URL": address.graphql_url,
        **_UNBUFFERED,
    }
    return api_environment(os.environ, more)


def _check_free(address: Address, option: str) -> None:
    """Refuse a port that is taken before anything is started."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(f"--host {address.host} is no address of this machine") from error
    family, kind, protocol, _, where = found[0]
    with socket.socket(family, kind, protocol) as probe:
        # As the webserver will: connections that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            probe.listen()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Refused(
                f"port {address.port} on {address.host} cannot be used ({reason}): stop what "
                f"listens there, or choose another with {option}"
            ) from error


class Vendor(NamedTuple):
    """The simulated vendor, a process without any secret of ours."""

    address: Address
    service: Service


def _vendor(settings: Settings) -> Vendor:
    """The simulator, on its usual port if that is free; not started yet."""
    with ExitStack() as stack:
        probe = stack.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, _SIMULATOR_PORT))
            probe.listen()
        except OSError:
            probe = stack.enter_context(socket.socket())
            probe.bind((_LOOPBACK, 0))
        address = Address(_LOOPBACK, probe.getsockname()[1])
    command = [sys.executable, "-c", _PIMS, "simulate", f"--port={address.port}"]
    environment = {**plain_environment(os.environ), **_UNBUFFERED}
    return Vendor(address, _service(settings, "pims-simulate", command, environment))


def _about_pages(address: Address) -> list[str]:
    lines = ["", f"Dagster UI: {address.url}"]
    if not is_loopback(address.host):
        lines.append("  It asks for no password, and the network can reach it.")
    return lines


def _about_api(api: Address, key: str | None) -> list[str]:
    lines = [f"REST API: {api.url} (its documentation: {api.url}/docs)"]
    if key is not None:
        lines += [
            f"  Key of {_DEMO_SLUG} while this runs: {key}",
            f"  curl -X POST -H 'X-API-Key: {key}' -H 'Prefer: wait=60' {api.url}/api/sync/inbound",
        ]
    return lines


def _about_vendor(vendor: Address) -> list[str]:
    return [
        f"Pretend IDEXX Neo: {vendor.url}",
        *(
            f"  {DEMO_SLUGS[each.company_id]}: company id {each.company_id}, "
            f"user {each.username}, password {each.password}"
            for each in DEFAULT_CLINICS
        ),
        _TRY,
    ]
