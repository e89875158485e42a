"""``pims providers``: the group; each command has a module of its own."""

import click

from pims_pipeline.cli.commands.providers.report import report
from pims_pipeline.cli.runtime import Group


@click.group(cls=Group)
def providers() -> None:
    """Show what vendors were seen to send."""


providers.add_command(report)
