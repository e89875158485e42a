"""``pims cases``: list cases, and show the history of one."""

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.cli.terminal.errors import Misused
from pims_pipeline.cli.terminal.options import BusinessDate, clinic_option, examples, json_option
from pims_pipeline.cli.terminal.streams import print_json
from pims_pipeline.cli.terminal.tables import print_table
from pims_pipeline.operations.cases import clinic_cases
from pims_pipeline.settings import Settings
from pims_pipeline.store.queries.cases import ListedCase


@click.group(cls=Group)
def cases() -> None:
    """List cases and show their history."""


@cases.command(
    "list",
    epilog=examples(
        "pims cases list --clinic riverbend",
        "pims cases list --clinic riverbend --date 2026-03-29 --json",
    ),
)
@clinic_option
@click.option(
    "--date",
    "day",
    type=BusinessDate(),
    show_default="all dates",
    help="List the cases of one business date.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="The most cases to list.",
)
@json_option('`{"clinic": …, "cases": […]}`')
@click.pass_obj
def list_stored(
    settings: Settings, *, slug: str, day: date | None, limit: int, as_json: bool
) -> None:
    """List a clinic's cases, latest appointment first, in the clinic's own time zone."""
    with open_store(settings) as store:
        found = clinic_cases(store.engine, slug, business_date=day, limit=limit)
    if as_json:
        from pims_pipeline.wire.cases import CaseList  # noqa: PLC0415 - a table needs no models

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


def _local(time: datetime | None, zone: ZoneInfo, style: str) -> str:
    return time.astimezone(zone).strftime(style) if time else ""


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
@click.option(
    "--clinic", "slug", metavar="SLUG", help="The appointment's clinic; required with --pims-id."
)
@json_option("the case as `GET /api/cases/{id}/provenance` does")
@click.pass_obj
def show(
    settings: Settings,
    *,
    case_id: UUID | None,
    pims_id: str | None,
    slug: str | None,
    as_json: bool,
) -> None:
    """Show a case and its history: every change, oldest first, with its cause.

    Times are shown in the clinic's time zone and in UTC.
    """
    # Listing cases needs none of this.
    from pims_pipeline.cli.terminal.case_history import print_history  # noqa: PLC0415 - see above
    from pims_pipeline.operations.case_history import (  # noqa: PLC0415 - see above
        appointment_history,
        case_history,
    )

    _check_one_identity(case_id, pims_id, slug)
    with open_store(settings) as store:
        if case_id is None:
            history = appointment_history(store.engine, slug or "", pims_id or "")
        else:
            history = case_history(store.engine, case_id)
    print_history(history, dagster_ui_url=settings.dagster_ui_url(), as_json=as_json)


def _check_one_identity(case_id: UUID | None, pims_id: str | None, slug: str | None) -> None:
    if case_id is None and (pims_id is None or slug is None):
        raise Misused("give the case's ID, or both --pims-id and --clinic")
    if case_id is not None and (pims_id is not None or slug is not None):
        raise Misused("give either the case's ID or --pims-id and --clinic, not both")
