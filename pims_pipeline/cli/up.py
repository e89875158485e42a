"""``pims up``: the database, Dagster's pages, its daemon and the REST API, until Ctrl-C.

Its processes are children of this one, each in a session of its own, so that Ctrl-C
reaches them through here alone and in order. How they are started and stopped stands in
``up_services``.
"""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from pims_pipeline.cli.demo_clinics import DEMO_SLUGS, demo_api_key, register_demo_clinics
from pims_pipeline.cli.errors import Misused, Refused
from pims_pipeline.cli.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.options import examples
from pims_pipeline.cli.runtime import API_PORT, Command, Store, dagster_storage, open_store
from pims_pipeline.cli.terminal import say
from pims_pipeline.cli.up_services import Service, watch
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.server import PortInUse, SimulatorServer
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database import migrate, transaction
from pims_pipeline.store.tenancy import let_api_log_in

_SIMULATOR_PORT = 8400
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_DEMO_SLUG = DEMO_SLUGS["1001"]
_PIMS = "from pims_pipeline.cli.main import main; main()"
_NOT_FOR_THE_API = frozenset(
    {
        "PIMS_DATABASE_URL",
        "DAGSTER_POSTGRES_URL",
        "ENCRYPTION_KEY",
        "ENCRYPTION_KEYS_RETIRED",
        "SLACK_BOT_TOKEN",
        "SLACK_CHANNEL",
    }
)
_WITHOUT_API = (
    "The REST API is not served: PIMS_API_DATABASE_URL does not name its login; "
    "`pims serve` tells how to make one."
)
_TRY = (
    "Try: materialize `appointments` for a clinic and some days, then book, move or delete a "
    "visit at the pretend vendor's and do it again."
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
        """Where Dagster's pages, if they are at this address, answer programs."""
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
    help="Where Dagster's pages answer.",
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
    help="Dagster's pages ask for no password: other addresses show them to the network.",
)
@click.pass_obj
def up(settings: Settings, *, demo: bool, port: int, api_port: int, host: str) -> None:
    """Start everything: the database, Dagster's pages, its daemon, the API. Ctrl-C stops it.

    The database is the embedded one unless PIMS_DATABASE_URL names another; its tables are
    brought up to date. Elsewhere the API needs PIMS_API_DATABASE_URL, and is left out without
    it. With --demo, the clinics of `pims demo` are registered at a pretend vendor, which starts
    with a fresh diary, and one of them gets a key to the API for as long as this runs.
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
    say("Starting the database, Dagster's pages, its daemon and the API …", err=True)
    simulator = stack.enter_context(_simulator()) if demo else None
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    if simulator is not None:
        register_demo_clinics(store, simulator.base_url)
    services = [stack.enter_context(each) for each in _services(store, address, api)]
    pages, *others = services
    pages.wait_for(f"{address.url}/server_info", services)
    serves_api = len(others) > 1
    key = None
    if serves_api:
        others[-1].wait_for(f"{api.url}/health", services)
        if simulator is not None:
            key = stack.enter_context(demo_api_key(store, _DEMO_SLUG))
    lines = [
        *_about_pages(address),
        *(_about_api(api, key) if serves_api else (_WITHOUT_API,)),
        *([] if simulator is None else _about_vendor(simulator)),
        "Logs:",
        *(f"  {service.log}" for service in services),
        "Ctrl-C stops everything.",
    ]
    say("\n".join(lines))
    return services


def _services(store: Store, address: Address, api: Address) -> list[Service]:
    """Dagster's pages, its daemon, and the API where its login is known; none is started."""
    environment = _environment(store, address)
    workspace = str(_workspace(Path(environment["DAGSTER_HOME"])))
    where = ("-h", address.host, "-p", str(address.port))
    logs = store.settings.home / "logs"

    def service(name: str, told: Mapping[str, str], *words: str) -> Service:
        return Service(name, [sys.executable, *words], told, logs / f"{name}.log")

    services = [
        service(
            "dagster-webserver", environment, "-m", "dagster_webserver", *where, "-w", workspace
        ),
        service("dagster-daemon", environment, "-m", "dagster._daemon", "run", "-w", workspace),
    ]
    told = _api_environment(store, address, environment)
    if told is not None:
        words = ("-c", _PIMS, "serve", f"--host={api.host}", f"--port={api.port}")
        services.append(service("pims-serve", told, *words))
    return services


def _api_environment(
    store: Store, address: Address, environment: Mapping[str, str]
) -> dict[str, str] | None:
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
    kept = {name: value for name, value in environment.items() if name not in _NOT_FOR_THE_API}
    return {**kept, "PIMS_API_DATABASE_URL": url, "DAGSTER_GRAPHQL_URL": address.graphql_url}


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


@contextmanager
def _simulator() -> Iterator[SimulatorServer]:
    """The pretend vendor, on its usual port if that is free."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(SimulatorServer(port=_SIMULATOR_PORT))
        except PortInUse:
            server = stack.enter_context(SimulatorServer())
        yield server


def _environment(store: Store, address: Address) -> dict[str, str]:
    """What Dagster's processes are told; secrets travel in it alone.

    Dagster's own tables are made here, and the clinics' partitions, by one process before
    several use them.
    """
    from pims_pipeline.orchestration.instance import (  # noqa: PLC0415 - costs seconds
        dagster_environment,
        open_instance,
    )
    from pims_pipeline.orchestration.partitions import (  # noqa: PLC0415 - as above
        in_order_of_registration,
        register_clinics,
    )

    home, storage = store.settings.home, dagster_storage(store)
    with transaction(store.engine) as connection:
        clinics = active_clinics(connection)
    with open_instance(home, storage) as instance:
        register_clinics(instance, in_order_of_registration(clinics))
    told = {"PIMS_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    # What they write to people links to these pages, unless others are known under a better name.
    links = {"DAGSTER_GRAPHQL_URL": address.graphql_url}
    return {**links, **os.environ, **dagster_environment(home, storage), **told}


def _workspace(directory: Path) -> Path:
    """The file that tells Dagster's processes of our code location."""
    from pims_pipeline.orchestration.launching import (  # noqa: PLC0415 - costs seconds
        CODE_LOCATION,
        DEFINITIONS_ATTRIBUTE,
        DEFINITIONS_MODULE,
    )

    file = directory / "workspace.yaml"
    file.write_text(
        "load_from:\n"
        "  - python_module:\n"
        f"      module_name: {DEFINITIONS_MODULE}\n"
        f"      attribute: {DEFINITIONS_ATTRIBUTE}\n"
        f"      location_name: {CODE_LOCATION}\n"
    )
    return file


def _about_pages(address: Address) -> list[str]:
    lines = ["", f"Dagster's pages: {address.url}"]
    if address.host not in _LOOPBACK:
        lines.append("  They ask for no password, and the network can reach them.")
    return lines


def _about_api(api: Address, key: str | None) -> list[str]:
    lines = [f"REST API: {api.url} (its documentation: {api.url}/docs)"]
    if key is not None:
        lines += [
            f"  Key of {_DEMO_SLUG} while this runs: {key}",
            f"  curl -X POST -H 'X-API-Key: {key}' -H 'Prefer: wait=60' {api.url}/api/sync/inbound",
        ]
    return lines


def _about_vendor(simulator: SimulatorServer) -> list[str]:
    return [
        f"Pretend IDEXX Neo: {simulator.base_url}",
        *(
            f"  {DEMO_SLUGS[each.company_id]}: company id {each.company_id}, "
            f"user {each.username}, password {each.password}"
            for each in simulator.config.clinics
        ),
        _TRY,
    ]
