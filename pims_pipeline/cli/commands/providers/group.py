"""``pims providers``: the group of its commands."""

import click

from pims_pipeline.cli.commands.providers.check import check
from pims_pipeline.cli.runtime import Group


@click.group(cls=Group)
def providers() -> None:
    """Check the providers that are installed."""


providers.add_command(check)
