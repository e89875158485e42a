"""``pims adopt status``: the adopted clinics, their modes, and the steps that were done."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from pims_pipeline.adoption.overview import AdoptedClinic, adoption_overview
from pims_pipeline.cli.adopt.options import number_of
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.options import clinic_filter, examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import words_of
from pims_pipeline.domain.adoption.agreement import agrees
from pims_pipeline.settings import Settings
from pims_pipeline.store.adoptions import AdoptionStep


@click.command(
    cls=Command,
    epilog=examples("pims adopt status", "pims adopt status --clinic riverbend --json"),
)
@clinic_filter
@json_option('`{"clinics": […], "steps": […]}`')
@click.pass_obj
def status(settings: Settings, *, slug: str | None, as_json: bool) -> None:
    """Show the adopted clinics with their modes, the last comparison, and every step so far."""
    with open_store(settings) as store:
        overview = adoption_overview(store.engine, slug)
    if as_json:
        from pims_pipeline.wire.adoptions import (  # noqa: PLC0415 - lines need no models
            AdoptionStatusDocument,
        )

        print_json(AdoptionStatusDocument.of(overview))
        return
    if not overview.clinics:
        say("No clinic is adopted; see `pims adopt inspect --help`.", err=True)
    for adopted in overview.clinics:
        for line in _lines(adopted):
            say(line)
    for step in overview.steps:
        say(_step(step))


def _lines(adopted: AdoptedClinic) -> Iterator[str]:
    adoption = adopted.adoption
    yield (
        f"{adopted.clinic.slug}  {adoption.mode} since {adoption.mode_changed_at:%Y-%m-%d %H:%M} "
        f"UTC, from schema {adoption.their_schema} ({adoption.layout} layout)"
    )
    yield f"  linked: {number_of(adopted.linked_cases)}"
    if adoption.last_diff is None or adoption.last_diff_at is None:
        yield "  never compared"
    else:
        found = _shown(adoption.last_diff)
        result = "agrees" if agrees(adoption.last_diff) else "does not agree"
        yield f"  compared {adoption.last_diff_at:%Y-%m-%d %H:%M} UTC: {result}; {found}"
    for step in adopted.steps:
        yield f"  {_step(step)}"


def _step(step: AdoptionStep) -> str:
    return f"{step.occurred_at:%Y-%m-%d %H:%M} UTC  {step.step}  {_shown(step.details)}"


def _shown(details: Mapping[str, Any]) -> str:
    """The details as words; nested ones in brackets, absent ones left out."""
    return ", ".join(
        f"{words_of(name)} {_value(value)}"
        for name, value in details.items()
        if value is not None and value != {}
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"({_shown(value)})" if isinstance(value, Mapping) else str(value)
