"""``pims adopt mode``: turn the adoption of a clinic off, or on again."""

import click

from pims_pipeline.adoption.modes import change_mode
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.options import clinic_option, examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.settings import Settings

_MEANING = {
    AdoptionMode.SHADOW: "it is synced here, and the v4.0 tables are only read",
    AdoptionMode.OFF: "it is not synced here; what is stored stays",
}


@click.command(
    cls=Command,
    epilog=examples("pims adopt mode --clinic riverbend off"),
)
@clinic_option
@click.argument("mode", metavar="MODE", type=click.Choice([each.value for each in _MEANING]))
@click.pass_obj
def mode(settings: Settings, *, slug: str, mode: str) -> None:
    """Turn the adoption of a clinic off, or to shadow again.

    MODE is shadow or off. A clinic becomes live by `pims adopt switch` alone.
    """
    wanted = AdoptionMode(mode)
    with open_store(settings) as store:
        changed = change_mode(store.engine, slug, wanted)
    say(f"{slug} is {'now' if changed else 'already'} in mode {wanted}: {_MEANING[wanted]}.")
