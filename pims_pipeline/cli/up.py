"""``pims up``: the database, Dagster's pages and its daemon, until Ctrl-C.

Dagster's processes are children of this one, each in a session of its own, so that Ctrl-C
reaches them through here alone and in order. How they are started and stopped stands in
``up_services``.
"""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from pims_pipeline.cli.demo_clinics import DEMO_SLUGS, register_demo_clinics
from pims_pipeline.cli.errors import Refused
from pims_pipeline.cli.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.options import examples
from pims_pipeline.cli.runtime import Command, Store, dagster_storage, open_store
from pims_pipeline.cli.up_services import Service, watch
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.server import PortInUse, SimulatorServer
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database import migrate, transaction

_SIMULATOR_PORT = 8400
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Address(NamedTuple):
    """Where the pages are to answer."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared only
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@click.command(
    cls=Command, epilog=examples("pims up", "pims up --demo", "pims up --port 3001 --demo")
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
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Dagster's pages ask for no password: other addresses show them to the network.",
)
@click.pass_obj
def up(settings: Settings, *, demo: bool, port: int, host: str) -> None:
    """Start everything: the database, Dagster's pages and its daemon. Ctrl-C stops it.

    The database is the embedded one unless PIMS_DATABASE_URL names another; its tables are
    brought up to date. With --demo, the clinics of `pims demo` are registered at a pretend
    vendor, which starts with a fresh diary.
    """
    address = Address(host, port)
    _check_free(address)
    # What it says of its starting and stopping is said better here.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with interruptible():
        try:
            with ExitStack() as stack, undisturbed_end():
                services = _start(stack, settings, address, demo=demo)
                watch(services)
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)


def _start(
    stack: ExitStack, settings: Settings, address: Address, *, demo: bool
) -> Sequence[Service]:
    click.echo("Starting the database, Dagster's pages and its daemon …", err=True)
    simulator = stack.enter_context(_simulator()) if demo else None
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    if simulator is not None:
        register_demo_clinics(store, simulator.base_url)
    environment = _environment(store)
    logs = settings.home / "logs"
    workspace = _workspace(Path(environment["DAGSTER_HOME"]))
    web = ("-m", "dagster_webserver", "-h", address.host, "-p", str(address.port))
    commands = {
        "dagster-webserver": (*web, "-w", str(workspace)),
        "dagster-daemon": ("-m", "dagster._daemon", "run", "-w", str(workspace)),
    }
    services = [
        stack.enter_context(
            Service(name, [sys.executable, *words], environment, logs / f"{name}.log")
        )
        for name, words in commands.items()
    ]
    services[0].wait_for(f"{address.url}/server_info", services)
    click.echo(_welcome(address, simulator, services))
    return services


def _check_free(address: Address) -> None:
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
                "listens there, or choose another with --port"
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


def _environment(store: Store) -> dict[str, str]:
    """What Dagster's processes are told; secrets travel in it alone.

    Dagster's own tables are made here, and the clinics' partitions, by one process before
    several use them.
    """
    from pims_pipeline.orchestration.instance import (  # noqa: PLC0415 - costs seconds
        dagster_environment,
        open_instance,
    )
    from pims_pipeline.orchestration.partitions import (  # noqa: PLC0415 - as above
        register_clinics,
    )

    home, storage = store.settings.home, dagster_storage(store)
    with transaction(store.engine) as connection:
        slugs = [clinic.slug for clinic in active_clinics(connection)]
    with open_instance(home, storage) as instance:
        register_clinics(instance, slugs)
    told = {"PIMS_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **dagster_environment(home, storage), **told}


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


def _welcome(
    address: Address, simulator: SimulatorServer | None, services: Sequence[Service]
) -> str:
    lines = [f"\nDagster's pages: {address.url}"]
    if address.host not in _LOOPBACK:
        lines.append("  They ask for no password, and the network can reach them.")
    if simulator is not None:
        lines.append(f"Pretend IDEXX Neo: {simulator.base_url}")
        lines += [
            f"  {DEMO_SLUGS[each.company_id]}: company id {each.company_id}, "
            f"user {each.username}, password {each.password}"
            for each in simulator.config.clinics
        ]
        lines.append(
            "Try: materialize `appointments` for a clinic and some days, then book, move or "
            "delete a visit at the pretend vendor's and do it again."
        )
    lines.append("Logs:")
    lines += [f"  {service.log}" for service in services]
    return "\n".join([*lines, "Ctrl-C stops everything."])
