"""``pims adopt inspect``: what a v4.0 installation holds, and what adopting it would do."""

from collections import Counter
from collections.abc import Iterator

import click

from pims_pipeline.adoption.inspection import ClinicInspection, Inspection, inspect_installation
from pims_pipeline.cli.adopt.options import number_of, schema_option
from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.options import examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.domain.phases import Phase
from pims_pipeline.settings import Settings


@click.command(
    cls=Command,
    epilog=examples("pims adopt inspect", "pims adopt inspect --schema public --json"),
)
@schema_option
@json_option('`{"layout": …, "clinics": […], "casesWithoutClinic": …}`')
@click.pass_obj
def inspect(settings: Settings, *, schema: str, as_json: bool) -> None:
    """Show a v4.0 installation: its layout, its clinics, and what would be imported.

    It only reads, and needs no tables of this pipeline: run it before `pims migrate`.
    """
    with open_store(settings, migrated=False) as store:
        found = inspect_installation(store.engine, schema)
    if as_json:
        from pims_pipeline.wire.adoptions import (  # noqa: PLC0415 - a table needs no models
            InspectionDocument,
        )

        print_json(InspectionDocument.of(found))
        return
    for line in _lines(found):
        say(line)


def _lines(found: Inspection) -> Iterator[str]:
    yield f"A v4.0 installation in schema {found.schema}, {found.layout} layout."
    if found.names_taken:
        yield (
            f"In the way of this pipeline's own tables: {', '.join(found.names_taken)}. Set "
            "PIMS_DATABASE_SCHEMA to another schema before `pims migrate`."
        )
    if found.without_clinic:
        yield f"Of no clinic, and not imported: {number_of(found.without_clinic)}."
    for clinic in found.clinics:
        yield ""
        yield from _clinic_lines(clinic)
    if not found.clinics:
        yield "It has no clinic."


def _clinic_lines(found: ClinicInspection) -> Iterator[str]:
    clinic = found.clinic
    mode = f", adopted ({found.mode})" if found.mode else ""
    active = "" if clinic.is_in_use else ", inactive"
    yield f"{clinic.slug or clinic.id}  {clinic.name}{active}{mode}"
    total = sum(count.cases for count in found.cases)
    yield f"  cases: {total}, of which {found.importable} would be imported"
    for name in ("source", "status"):
        counts: Counter[str] = Counter()
        for count in found.cases:
            counts[getattr(count, name) or "none"] += count.cases
        if counts:
            shown = ", ".join(f"{key} {number}" for key, number in sorted(counts.items()))
            yield f"  by {name}: {shown}"
    yield from _fault_lines(found)
    when = found.last_sync.strftime("%Y-%m-%d %H:%M UTC") if found.last_sync else "never"
    yield f"  last completed sync: {when}"
    crons = ", ".join(f"{phase} {found.schedule.crons[phase]}" for phase in Phase)
    yield f"  schedule: {crons}"
    if found.target_room_id:
        yield f"  only room {found.target_room_id} is synced"
    yield f"  login: {f'encrypted with key {found.key_id}' if found.key_id else 'none'}"
    for note in (*found.notes, *found.schedule.notes):
        yield f"  note: {note}"
    for problem in found.to_say:
        yield f"  to do: {problem}"


def _fault_lines(found: ClinicInspection) -> Iterator[str]:
    retired = sum(count.retired for count in found.cases)
    untimed = sum(count.without_time for count in found.cases)
    if retired:
        yield f"  retired by v4.0: {retired}; a sync restores those whose appointment exists"
    if untimed:
        yield f"  without a time: {untimed}"
    if found.duplicates:
        yield (
            f"  appointments with several cases: {found.duplicates}; "
            f"left out: {number_of(found.left_out)}"
        )
    if found.syncs_in_progress:
        yield f"  syncs that never ended: {found.syncs_in_progress}; they are not imported"
