"""``pims adopt``: the group of the commands; each is in a module of its own beside this one."""

import click

from pims_pipeline.cli.adopt.diff import diff
from pims_pipeline.cli.adopt.inspection import inspect
from pims_pipeline.cli.adopt.modes import mode
from pims_pipeline.cli.adopt.run import run
from pims_pipeline.cli.adopt.status import status
from pims_pipeline.cli.adopt.switch import switch
from pims_pipeline.cli.runtime import Group


@click.group(cls=Group)
def adopt() -> None:
    """Adopt clinics of a running v4.0 installation."""


for each in (inspect, run, diff, switch, mode, status):
    adopt.add_command(each)
