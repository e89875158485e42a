"""``pims``: the group of all commands, each loaded when it is asked for.

``pims --help`` must answer at once, so this module imports click alone, and the commands'
one-line descriptions stand here. What goes wrong in any command ends here too, as one line
on standard error.
"""

import importlib
from typing import Any, NamedTuple

import click

from pims_pipeline.cli.terminal.errors import explained, misuse, place_of
from pims_pipeline.cli.terminal.streams import prepare_streams


class Entry(NamedTuple):
    """Where a command lives, and what ``pims --help`` says of it."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "demo": Entry(
        "demo.command",
        "demo",
        "Play a day at three made-up clinics, and show how their cases follow it.",
    ),
    "up": Entry(
        "up.command", "up", "Start everything: the database, the Dagster UI, its daemon, the API."
    ),
    "serve": Entry("commands.serve", "serve", "Serve the REST API."),
    "migrate": Entry("commands.migrate", "migrate", "Bring the database's tables up to date."),
    "simulate": Entry(
        "commands.simulate", "simulate", "Serve a pretend IDEXX Neo on this machine."
    ),
    "clinics": Entry(
        "commands.clinics", "clinics", "Register clinics and choose when they are synced."
    ),
    "credentials": Entry(
        "commands.credentials",
        "credentials",
        "Store clinics' logins, encrypted, check them, and change the key that encrypts them.",
    ),
    "keys": Entry("commands.keys", "keys", "Make and revoke keys to the REST API."),
    "sync": Entry("commands.sync", "sync", "Sync a clinic now, in this process."),
    "cases": Entry("commands.cases", "cases", "Look at cases and at what happened to them."),
    "holds": Entry(
        "commands.holds", "holds", "Decide on deletions that the deletion guard holds back."
    ),
    "failures": Entry(
        "commands.failures",
        "failures",
        "Look at records that could not be read or fetched, and try them again.",
    ),
    "status": Entry("commands.status", "status", "Show how each clinic stands."),
}


class LazyGroup(click.Group):
    """The commands of ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands' names, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command called so, imported now; None when there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"pims_pipeline.cli.{entry.module}")
        command = getattr(module, entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The commands with their descriptions, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click; complaints take one line, and any text can be printed from here on."""
        prepare_streams()
        try:
            return super().make_context(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise misuse(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever goes wrong becomes one line, with an exit status."""
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
