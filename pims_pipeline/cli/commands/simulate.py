"""``pims simulate``: serve the simulated vendors in the foreground until Ctrl-C."""

import ipaddress
import logging
from collections.abc import Iterator, Mapping, Sequence

import click

from pims_pipeline.cli.runtime import Command
from pims_pipeline.cli.terminal.errors import Misused, Refused
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    VETSPIRE_CLINICS,
    VETSPIRE_SIGN_IN,
    SimulatedClinic,
    SimulatorConfig,
)
from pims_pipeline.simulator.server import PortInUse, serve

_CLINICS: Mapping[str, Sequence[SimulatedClinic]] = {
    "idexx_neo": DEFAULT_CLINICS,
    "vetspire": VETSPIRE_CLINICS,
    "both": (*DEFAULT_CLINICS, *VETSPIRE_CLINICS),
}


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
        "pims simulate --vendor both",
        "pims simulate --port 9000 --seed 42 --appointments-per-day 40",
    ),
)
@click.option(
    "--vendor",
    type=click.Choice(list(_CLINICS)),
    default="idexx_neo",
    show_default=True,
    help="The vendor whose clinics it plays.",
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
def simulate(
    vendor: str, port: int, host: str, seed: int, appointments_per_day: int | None
) -> None:
    """Serve a simulated vendor on this machine.

    The vendor is IDEXX Neo, Vetspire or both. It makes up the calendars of three clinics of each,
    in several time zones. On its start page you can log in, see the day, and book, move, cancel
    and finish appointments. Tests use its control interface. Ctrl-C stops it.
    """
    # This command reports the start and the stop itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = SimulatorConfig(
        seed=seed, clinics=tuple(_CLINICS[vendor]), appointments_per_day=appointments_per_day
    )

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
    neo = [each for each in config.clinics if each.vendor == "idexx_neo"]
    vetspire = [each for each in config.clinics if each.vendor == "vetspire"]
    lines = [*_about_neo(neo, url), *_about_vetspire(vetspire, url)]
    return "\n".join([*lines, f"Control interface for tests: {url}/_control", "Ctrl-C stops it."])


def _about_neo(clinics: Sequence[SimulatedClinic], url: str) -> Iterator[str]:
    if not clinics:
        return
    yield f"Simulated IDEXX Neo: {url}"
    yield "\nAccounts, all made up:"
    for each in clinics:
        account = f"company id {each.company_id}, user {each.username}, password {each.password}"
        yield f"  {account}  ({each.name}, {each.timezone})"
    yield ""


def _about_vetspire(clinics: Sequence[SimulatedClinic], url: str) -> Iterator[str]:
    if not clinics:
        return
    yield f"Simulated Vetspire: {url}/graphql"
    yield "\nKeys and locations, all made up:"
    for each in clinics:
        yield (
            f"  API key {each.api_key}, location id {each.company_id}"
            f"  ({each.name}, {each.timezone})"
        )
    people = ", ".join(f"{each.password} for {each.company_id}" for each in clinics)
    yield f"\nIts calendars for a person: {url}{VETSPIRE_SIGN_IN}"
    yield f"  user {clinics[0].username}, passwords {people}\n"
