"""``pims demo``: starts the simulator, the database and Dagster, and plays the demonstration.

The parts of the demonstration belong in ``demonstration``, the edits at the clinics in
``scenario``, the output in ``display``, ``results`` and ``changes``.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console

from pims_pipeline.cli.demo.clinics import DemoClinic, borrowed_demo_clinics
from pims_pipeline.cli.demo.demonstration import Demonstration
from pims_pipeline.cli.demo.display import heading, say, stage, waiting
from pims_pipeline.cli.demo.scenario import Period, demo_period
from pims_pipeline.cli.local_runs import local_definitions
from pims_pipeline.cli.runtime import Command, dagster_storage, open_store
from pims_pipeline.cli.terminal.interrupts import interruptible, undisturbed_end, uninterrupted
from pims_pipeline.cli.terminal.options import examples
from pims_pipeline.observability.logging import configure_logging
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import DEMO_CLINICS, DEMO_VENDORS, SimulatorConfig
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline.store.database.migrate import migrate


@click.command(
    cls=Command,
    epilog=examples("pims demo", "PIMS_HOME=elsewhere pims demo", "pims up"),
)
@click.pass_obj
def demo(settings: Settings) -> None:
    """Play a day at three simulated clinics, and show how their cases follow it.

    Simulates IDEXX Neo and Vetspire on this machine, logs in (to IDEXX Neo with a real browser),
    syncs fifteen days of three clinics, edits their calendars, and syncs again. It checks every
    result, and ends with status 1 if a check fails. The clinics, their cases and the runs stay: see
    them with `pims up` and `pims cases`.
    """
    log_file = settings.home / "logs" / "demo.log"
    began = time.monotonic()
    with interruptible(), stage(log_file) as console:
        # Again, because standard error is now the log file, which gets no colours.
        configure_logging(settings.log_level, settings.log_format)
        # After an interrupt, the browser's driver logs errors to a closed file.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        with _prepared(settings, console) as demonstration:
            demonstration.play()
        heading(console, f"All checks passed, in {time.monotonic() - began:.0f} s.")
        say(console, "pims up --demo   the runs and their partitions, in the Dagster UI")
        say(console, "pims status      the status of the clinics")
        say(console, f"pims cases list --clinic {demonstration.clinics[0].clinic.slug}")
        say(console, f"Log of the runs: {log_file}")


@contextmanager
def _prepared(settings: Settings, console: Console) -> Iterator[Demonstration]:
    """The demonstration with everything that it needs, stopped at the end of the block."""
    zones = [each.timezone for each in DEMO_CLINICS]
    period = demo_period(zones, datetime.now(UTC).date())
    heading(console, "A day at three veterinary clinics")
    with ExitStack() as stack, undisturbed_end():
        with waiting(console, "Starting the vendor, the database and Dagster"):
            demonstration = _started(settings, console, period, stack)
        yield demonstration


def _started(
    settings: Settings, console: Console, period: Period, stack: ExitStack
) -> Demonstration:
    config = SimulatorConfig(today=period.vendor_today, clinics=DEMO_CLINICS)
    server = stack.enter_context(running_simulator(config))
    control = stack.enter_context(closing(SimulatorControl(server.base_url)))
    say(console, f"Simulated {DEMO_VENDORS}: {server.base_url}", mark="✔", style="green")
    with uninterrupted():
        store = stack.enter_context(open_store(settings, migrated=False))
    migrate(store.engine)
    where = "your PostgreSQL" if settings.database_url else "an embedded PostgreSQL"
    say(console, f"Cases are stored in {where}", mark="✔", style="green")
    clinics = stack.enter_context(borrowed_demo_clinics(store, server.base_url))
    _show_clinics(console, clinics, period)

    from pims_pipeline.orchestration.instance import open_instance  # noqa: PLC0415 - costs seconds

    instance = stack.enter_context(open_instance(settings.home, dagster_storage(store)))
    definitions = local_definitions(store)
    return Demonstration(console, store, instance, definitions, control, clinics, period)


def _show_clinics(console: Console, clinics: Sequence[DemoClinic], period: Period) -> None:
    names = ", ".join(f"{each.clinic.slug} ({each.clinic.timezone})" for each in clinics)
    say(console, f"Registered, logins encrypted: {names}", mark="✔", style="green")
    changes = " and ".join(f"{zone} on {day}" for day, zone in period.clock_changes.items())
    window = f"{period.window.start} to {period.window.end}"
    say(console, f"The days played are {window}; the clocks change in {changes}")
