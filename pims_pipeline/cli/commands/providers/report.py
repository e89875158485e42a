"""``pims providers report``: the shapes of a vendor's responses as a file to share."""

from pathlib import Path

import click

from pims_pipeline.cli.runtime import Command, open_store
from pims_pipeline.cli.terminal.files import write_private
from pims_pipeline.cli.terminal.options import examples, json_option, slug_argument
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.operations.vendor_shapes import vendor_shapes
from pims_pipeline.settings import Settings
from pims_pipeline.wire.vendors.report import ShapeReport


@click.command(
    cls=Command,
    epilog=examples(
        "pims providers report riverbend",
        "pims providers report riverbend --output shapes.json --force",
        "pims providers report riverbend --json",
    ),
)
@slug_argument
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="vendor-shapes-PROVIDER.json",
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--with-clinic", is_flag=True, help="Also name the clinic, by its slug.")
@json_option("the report, and write no file")
@click.pass_obj
def report(
    settings: Settings,
    *,
    slug: str,
    output: Path | None,
    force: bool,
    with_clinic: bool,
    as_json: bool,
) -> None:
    """Write which fields the clinic's vendor was seen to send, as a JSON file to share.

    For each field's path: its JSON types, and how often each was seen in each week. The file holds
    no values, and nothing about the clinic but these counts. Names of fields that may be data are
    replaced by `{*}`. Read the file before you share it: a vendor could use a person's name as
    the name of a field in many records.
    """
    if as_json and (output or force):
        raise click.UsageError("--json prints the report and writes no file; leave out the others")
    with open_store(settings) as store:
        found = vendor_shapes(store.engine, slug)
    document = ShapeReport.of(found, with_clinic=with_clinic)
    if as_json:
        print_json(document)
        return
    path = output or Path(f"vendor-shapes-{found.clinic.provider_type}.json")
    write_private(path, document.model_dump_json(indent=2) + "\n", replace=force)
    paths = len({each.path for each in found.shapes})
    say(f"Wrote {path}: {paths} paths of {found.clinic.provider_type}, no values.")
