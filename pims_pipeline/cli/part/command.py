"""``pims part``: the group of its commands, each imported when it is used.

For containers: each part is a process without the others' secrets, and finds the others by their
addresses. The API is ``pims serve``, the tables are made by ``pims migrate --dagster``. On one
machine, ``pims up`` starts all parts.
"""

from importlib import import_module

import click

_MODULES = {
    "code-server": ("running", "code_server"),
    "webserver": ("running", "webserver"),
    "daemon": ("running", "daemon"),
    "start": ("starting", "start"),
    "check": ("checking", "check"),
}


class PartGroup(click.Group):
    """The commands of ``_MODULES``; what one imports does not slow down another."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands' names."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return the command with that name; None if there is none."""
        if cmd_name not in _MODULES:
            return None
        module, attribute = _MODULES[cmd_name]
        command = getattr(import_module(f"pims_pipeline.cli.part.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is not a command")
        return command


@click.group(cls=PartGroup)
def part() -> None:
    """Run one part of the pipeline, where an orchestrator starts the others."""
