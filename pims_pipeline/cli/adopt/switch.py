"""``pims adopt switch``: switch a clinic from the v4.0 service to this pipeline, or back."""

from collections.abc import Iterator

import click

from pims_pipeline.adoption.switching import SwitchResult, switch_back
from pims_pipeline.adoption.switching import switch as switch_clinic
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.options import clinic_option, examples
from pims_pipeline.cli.terminal.streams import say
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.clock import utc_now


@click.command(
    cls=Command,
    epilog=examples(
        "pims adopt switch --clinic riverbend",
        "pims adopt switch --clinic riverbend --accept 3",
        "pims adopt switch --clinic riverbend --back",
    ),
)
@clinic_option
@click.option(
    "--accept",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many differences of the last comparison are accepted.",
)
@click.option("--back", is_flag=True, help="Switch back to the v4.0 service.")
@click.pass_obj
def switch(settings: Settings, *, slug: str, accept: int, back: bool) -> None:
    """Switch a clinic to this pipeline, or back to the v4.0 service.

    Turns its schedule in v4.0 off and ours on, and makes it live: each sync then also writes the
    application's cases. Refused unless the last `pims adopt diff` is less than a day old and
    agrees. --back restores the schedule in v4.0 and makes the clinic shadow again; what someone
    edited there since then stays.
    """
    if back and accept:
        raise click.UsageError("--accept is for a switch, which --back is not; give one of them")
    with open_store(settings) as store:
        result = (
            switch_back(store.engine, slug)
            if back
            else switch_clinic(store.engine, slug, accept=accept, now=utc_now())
        )
    for line in _back_lines(result) if back else _lines(result):
        say(line)


def _lines(result: SwitchResult) -> Iterator[str]:
    slug = result.clinic.slug
    if not result.changed:
        yield f"{slug} is live already; nothing was changed."
        for phase in result.runs_there:
            yield f"note: someone turned {phase} on again in v4.0; turn it off there"
        return
    yield f"{slug} is live: its schedule in v4.0 is off, and each sync here writes its application."
    for phase, cron in result.turned_on.items():
        yield f"note: {phase} was off here and runs now as it did in v4.0: {cron}"
    yield f"Write its application now: pims sync full --clinic {slug}"


def _back_lines(result: SwitchResult) -> Iterator[str]:
    slug = result.clinic.slug
    if not result.changed:
        yield f"{slug} is not live; nothing was changed."
        return
    yield f"{slug} is in mode shadow: its schedule in v4.0 is on again; no sync here writes there."
    for phase in result.edited:
        yield f"note: {phase} was edited in v4.0 since the switch and stays as it is there"
