"""``pims``: the group of all commands, each imported when it is used.

``pims --help`` must be fast, so this module imports only click and holds the commands' one-line
descriptions. It also turns every error into one line on standard error.
"""

import gc
import importlib
import sys
from types import ModuleType
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from pims_pipeline.cli.terminal.errors import explained, misuse, place_of
from pims_pipeline.cli.terminal.streams import prepare_streams


class CommandEntry(NamedTuple):
    """The location of a command, and its line in ``pims --help``."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "demo": CommandEntry(
        "demo.command",
        "demo",
        "Play a day at three simulated clinics, and show how their cases follow it.",
    ),
    "up": CommandEntry(
        "up.command", "up", "Start everything: the database, the Dagster UI, its daemon, the API."
    ),
    "serve": CommandEntry("commands.serve", "serve", "Serve the REST API and the console."),
    "part": CommandEntry(
        "part.command",
        "part",
        "Run one part of the pipeline, where an orchestrator starts the others.",
    ),
    "migrate": CommandEntry(
        "commands.migrate", "migrate", "Bring the database's tables up to date."
    ),
    "simulate": CommandEntry(
        "commands.simulate", "simulate", "Serve a simulated vendor on this machine."
    ),
    "clinics": CommandEntry(
        "commands.clinics.command",
        "clinics",
        "Register clinics and set what is synced and when.",
    ),
    "providers": CommandEntry(
        "commands.providers.group",
        "providers",
        "List the practice management systems that clinics can use; show and check one.",
    ),
    "credentials": CommandEntry(
        "commands.credentials",
        "credentials",
        "Store and check clinics' logins, and re-encrypt them with a new key.",
    ),
    "keys": CommandEntry(
        "commands.keys.group", "keys", "Create, import, list and revoke keys to the REST API."
    ),
    "webhooks": CommandEntry(
        "commands.webhooks",
        "webhooks",
        "Send changes of cases to web addresses, as signed messages.",
    ),
    "operators": CommandEntry(
        "commands.operators.group",
        "operators",
        "Add, list and remove operators of the console.",
    ),
    "sync": CommandEntry("commands.sync", "sync", "Sync a clinic now, in this process."),
    "cases": CommandEntry("commands.cases", "cases", "List cases and show their history."),
    "holds": CommandEntry(
        "commands.holds", "holds", "Decide on deletions that the deletion guard holds back."
    ),
    "failures": CommandEntry(
        "commands.failures",
        "failures",
        "Show and retry records that could not be read or fetched.",
    ),
    "adopt": CommandEntry(
        "adopt.command", "adopt", "Adopt clinics of a running v4.0 installation."
    ),
    "status": CommandEntry("commands.status", "status", "Show the status of each clinic."),
    "doctor": CommandEntry(
        "doctor.command",
        "doctor",
        "Check the installation, and say what to do about what is wrong.",
    ),
}


def _imported(name: str) -> ModuleType:
    """The module of that name.

    What a first import creates stays until the process ends, so the garbage collector never looks
    at it: that would take a quarter of the time of ``pims status``.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """The commands of ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands' names, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return the command with that name; None if there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = _imported(f"pims_pipeline.cli.{entry.module}")
        command = getattr(module, entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the commands with their descriptions, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin with ``incomplete``, without importing any."""
        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # The group's own method would import every command for its description.
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Prepare the streams, then parse the arguments; a usage error takes one line."""
        prepare_streams()
        try:
            return super().make_context(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise misuse(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; any error becomes one line and an exit status."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise misuse(error) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from pims_pipeline.observability.logging import (  # noqa: PLC0415 - costs time
                get_logger,
            )

            get_logger(__name__).debug("command_failed", exception=place_of(error))
            raise explained(error) from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from the environment; see docs/settings.md.",
)
@click.version_option(package_name="pims-pipeline")
def main() -> None:
    """Keep clinics' cases in step with their practice management systems."""
