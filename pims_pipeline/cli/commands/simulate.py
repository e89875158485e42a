"""``pims simulate``: serve the simulated IDEXX Neo in the foreground until Ctrl-C."""

import ipaddress
import logging

import click

from pims_pipeline.cli.runtime import Command
from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import PortInUse, serve


def _loopback(context: click.Context, option: click.Parameter, host: str) -> str:  # noqa: ARG001 - click's signature
    """``host`` as an IP address, if it is a loopback address."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise Misused(
        f"--host {host}: the simulator has made-up passwords and no protection, so it listens "
        "on this machine only; use 127.0.0.1, ::1 or localhost"
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
    help="The port to listen on; 0 takes any free port.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_loopback,
    help="The loopback address to listen on.",
)
@click.option(
    "--seed",
    type=int,
    default=SimulatorConfig().seed,
    show_default=True,
    help="The seed of the made-up calendars: the same seed gives the same calendars.",
)
@click.option(
    "--appointments-per-day",
    type=click.IntRange(0, 1000),
    show_default="about twelve on weekdays",
    help="The number of appointments on every day.",
)
def simulate(port: int, host: str, seed: int, appointments_per_day: int | None) -> None:
    """Serve a simulated IDEXX Neo on this machine.

    It makes up the calendars of three clinics, each in its own time zone. On its start page you
    can log in, see the day, and book, move, cancel and finish appointments. Tests use its control
    interface. Ctrl-C stops it.
    """
    # This command reports the start and the stop itself.
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
        f"Simulated IDEXX Neo: {url}\n"
        f"\nAccounts, all made up:\n{accounts}\n"
        f"\nControl interface for tests: {url}/_control\n"
        "Ctrl-C stops it."
    )
