"""``pims cases``: looking at cases, and at what happened to each."""

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.case_history import history_lines
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import BusinessDate, clinic_option, examples, json_option
from pims_pipeline.cli.terminal.streams import print_json, say
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.operations.cases import appointment_history, case_history, clinic_cases
from pims_pipeline.settings import Settings
from pims_pipeline.store.queries.cases import ListedCase
from pims_pipeline.sync.provenance import provenance_of
from pims_pipeline.wire.cases import CaseList, Provenance


@click.group(cls=Group)
def cases() -> None:
    """Look at cases and at what happened to them."""


@cases.command(
    "list",
    epilog=examples(
        "pims cases list --clinic riverbend",
        "pims cases list --clinic riverbend --date 2026-03-29 --json",
    ),
)
@clinic_option
@click.option("--date", "day", type=BusinessDate(), help="One business date; all unless given.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="The most to list, latest first.",
)
@json_option
@click.pass_obj
def list_stored(
    settings: Settings, *, slug: str, day: date | None, limit: int, as_json: bool
) -> None:
    """List a clinic's cases, latest appointment first. Times are the clinic's own."""
    with open_store(settings) as store:
        found = clinic_cases(store.engine, slug, business_date=day, limit=limit)
    if as_json:
        print_json(CaseList.of(slug, found.cases))
        return
    print_table(
        ["Date", "Time", "Patient", "Species", "Client", "Type", "Status", "", "Id"],
        (
            (
                each.scheduled_date.isoformat(),
                _local(each.scheduled_start, found.clinic.zone, "%H:%M"),
                each.patient_name,
                each.patient_species or "",
                each.client_name,
                each.case_type,
                each.status,
                _marks(each),
                str(each.id),
            )
            for each in found.cases
        ),
        empty=f"No cases of {slug} are stored{f' for {day}' if day else ''}.",
    )


def _marks(case: ListedCase) -> str:
    if case.soft_deleted:
        return "deleted"
    return "enriched" if case.enriched else ""


def _local(moment: datetime | None, zone: ZoneInfo, style: str) -> str:
    return moment.astimezone(zone).strftime(style) if moment else ""


@cases.command(
    epilog=examples(
        "pims cases show 0b6f4bd2-3f5c-5c27-9d6e-6f0f6f1f2a10",
        "pims cases show --pims-id 48213 --clinic riverbend --json",
    )
)
@click.argument("case_id", metavar="[ID]", type=click.UUID, required=False)
@click.option(
    "--pims-id", metavar="X", help="The appointment's identity at the vendor, in place of ID."
)
@click.option("--clinic", "slug", metavar="SLUG", help="Which clinic's; goes with --pims-id.")
@json_option
@click.pass_obj
def show(
    settings: Settings,
    *,
    case_id: UUID | None,
    pims_id: str | None,
    slug: str | None,
    as_json: bool,
) -> None:
    """Show a case and everything that happened to it, oldest first, each with its cause.

    Times are the clinic's own and UTC; in JSON the plain ones are UTC.
    """
    _check_words(case_id, pims_id, slug)
    with open_store(settings) as store:
        if case_id is None:
            story = appointment_history(store.engine, slug or "", pims_id or "")
        else:
            story = case_history(store.engine, case_id)
    told = provenance_of(story, dagster_ui_url=settings.dagster_ui_url())
    if as_json:
        print_json(Provenance.of(told))
        return
    for line in history_lines(told):
        say(line)


def _check_words(case_id: UUID | None, pims_id: str | None, slug: str | None) -> None:
    if case_id is None and (pims_id is None or slug is None):
        raise Misused("give the case's ID, or both --pims-id and --clinic")
    if case_id is not None and (pims_id is not None or slug is not None):
        raise Misused("give either the case's ID or --pims-id and --clinic, not both")
