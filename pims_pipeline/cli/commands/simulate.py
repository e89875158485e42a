"""``pims simulate``: the pretend IDEXX Neo, served in front until Ctrl-C."""

import ipaddress
import logging

import click

from pims_pipeline.cli.runtime import Command
from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.simulator.server import PortInUse, SimulatorConfig, serve


def _loopback(context: click.Context, option: click.Parameter, host: str) -> str:  # noqa: ARG001 - click's signature
    """``host`` as an address, if it is one of this machine alone."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise Misused(
        f"--host {host}: the simulator has made-up passwords and no protection, so it listens "
        "on this machine alone; use 127.0.0.1, ::1 or localhost"
    )


@click.command(
    cls=Command,
    epilog=examples(
        "pims simulate",
        "pims simulate --port 9000 --seed 42 --appointments-per-day 40",
    ),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8400,
    show_default=True,
    help="Where to listen; 0 takes any free port.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_loopback,
    help="Where to listen; loopback addresses only.",
)
@click.option(
    "--seed",
    type=int,
    default=SimulatorConfig().seed,
    show_default=True,
    help="The same seed makes up the same calendars.",
)
@click.option(
    "--appointments-per-day",
    type=click.IntRange(0, 1000),
    help="So many every day; about twelve on weekdays unless given.",
)
def simulate(port: int, host: str, seed: int, appointments_per_day: int | None) -> None:
    """Serve a pretend IDEXX Neo on this machine.

    It makes up the calendars of three clinics, each in its own time zone. Its start page is for
    people: log in, look at the day, book, move, cancel, finish appointments. Tests steer it through
    its control interface. Ctrl-C stops it.
    """
    # What it says of its starting and stopping, it says better below.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = SimulatorConfig(seed=seed, appointments_per_day=appointments_per_day)

    def ready(url: str) -> None:
        say(_welcome(config, url))

    try:
        serve(config, host, port, on_ready=ready)
    except PortInUse as error:
        raise Refused(error.strerror or str(error)) from error
    except OSError as error:
        raise Refused(
            f"cannot listen on port {port} of {host} ({error.strerror}); choose another with --port"
        ) from error


def _welcome(config: SimulatorConfig, url: str) -> str:
    accounts = "\n".join(
        f"  company id {each.company_id}, user {each.username}, password {each.password}"
        f"  ({each.name}, {each.timezone})"
        for each in config.clinics
    )
    return (
        f"A pretend IDEXX Neo answers at {url}\n"
        f"\nAccounts, all made up:\n{accounts}\n"
        f"\nControl interface for tests: {url}/_control\n"
        "Ctrl-C stops it."
    )
