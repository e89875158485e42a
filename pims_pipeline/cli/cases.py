"""``pims cases``: looking at cases, and at what happened to each."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from pims_pipeline.cli.options import BusinessDate, clinic_option, examples, json_option
from pims_pipeline.cli.output import print_json, print_table
from pims_pipeline.cli.runtime import Group, open_store
from pims_pipeline.settings import Settings
from pims_pipeline.store.case_stories import CaseStory, case_story
from pims_pipeline.store.case_views import ListedCase, list_cases
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database import transaction
from pims_pipeline.sync.results import utc_text


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
    """List a clinic's cases, latest visit first. Times are the clinic's own."""
    with open_store(settings) as store, transaction(store.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        found = list_cases(connection, clinic, business_date=day, limit=limit)
    if as_json:
        print_json({"clinic": slug, "cases": [_listed(each) for each in found]})
        return
    print_table(
        ["Date", "Time", "Patient", "Species", "Client", "Type", "Status", "", "Id"],
        (
            (
                each.scheduled_date.isoformat(),
                _local(each.scheduled_start, clinic.zone, "%H:%M"),
                each.patient_name,
                each.patient_species or "",
                each.client_name,
                each.case_type,
                each.status,
                _marks(each),
                str(each.id),
            )
            for each in found
        ),
        empty=f"No cases of {slug} are stored{f' for {day}' if day else ''}.",
    )


def _marks(case: ListedCase) -> str:
    if case.soft_deleted:
        return "deleted"
    return "enriched" if case.enriched else ""


def _local(moment: datetime | None, zone: ZoneInfo, style: str) -> str:
    return moment.astimezone(zone).strftime(style) if moment else ""


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None


def _listed(case: ListedCase) -> dict[str, Any]:
    return {
        "id": str(case.id),
        "pimsId": case.pims_id,
        "scheduledDate": case.scheduled_date.isoformat(),
        "scheduledStart": _text(case.scheduled_start),
        "patientName": case.patient_name,
        "patientSpecies": case.patient_species,
        "clientName": case.client_name,
        "status": case.status,
        "caseType": case.case_type,
        "softDeleted": case.soft_deleted,
        "enriched": case.enriched,
        "updatedAt": utc_text(case.updated_at),
    }


@cases.command(
    epilog=examples(
        "pims cases show 0b6f4bd2-3f5c-5c27-9d6e-6f0f6f1f2a10",
        "pims cases show 0b6f4bd2-3f5c-5c27-9d6e-6f0f6f1f2a10 --json",
    )
)
@click.argument("case_id", metavar="ID", type=click.UUID)
@json_option
@click.pass_obj
def show(settings: Settings, *, case_id: UUID, as_json: bool) -> None:
    """Show a case and everything that happened to it, oldest first, each with its cause.

    Times are the clinic's own; in JSON they are UTC.
    """
    with open_store(settings) as store, transaction(store.engine) as connection:
        story = case_story(connection, case_id)
    if as_json:
        print_json(_document(story))
        return
    for line in _summary(story):
        click.echo(line)
    click.echo()
    zone = ZoneInfo(story.timezone)
    print_table(
        ["When", "What", "Changed", "Partition", "Run", "Sync"],
        (
            (
                _local(event.occurred_at, zone, "%Y-%m-%d %H:%M:%S"),
                event.kind,
                ", ".join(event.changes),
                event.partition_key,
                event.run_id,
                str(event.audit_id),
            )
            for event in story.events
        ),
        empty="Nothing is recorded of it: people made it, or it stems from before the records.",
    )


def _summary(story: CaseStory) -> Iterator[str]:
    zone = ZoneInfo(story.timezone)
    species = f" ({story.patient_species})" if story.patient_species else ""
    when = _local(story.scheduled_start, zone, "%H:%M")
    yield f"{story.patient_name}{species}, {story.client_name}"
    yield f"{story.scheduled_date} {when} {story.timezone}, {story.case_type}, {story.status}"
    origin = f"{story.provider_type} {story.pims_id}" if story.pims_id else "made by people"
    yield f"{story.clinic}, {origin}"


def _document(story: CaseStory) -> dict[str, Any]:
    return {
        "id": str(story.id),
        "clinic": story.clinic,
        "providerType": story.provider_type,
        "pimsId": story.pims_id,
        "patientName": story.patient_name,
        "patientSpecies": story.patient_species,
        "clientName": story.client_name,
        "clientPhone": story.client_phone,
        "scheduledDate": story.scheduled_date.isoformat(),
        "scheduledStart": _text(story.scheduled_start),
        "scheduledEnd": _text(story.scheduled_end),
        "status": story.status,
        "caseType": story.case_type,
        "visibility": story.visibility,
        "metadata": story.metadata,
        "createdAt": utc_text(story.created_at),
        "updatedAt": utc_text(story.updated_at),
        "events": [
            {
                "seq": event.seq,
                "kind": event.kind,
                "occurredAt": utc_text(event.occurred_at),
                "partitionKey": event.partition_key,
                "runId": event.run_id,
                "syncId": str(event.audit_id),
                "changes": event.changes,
            }
            for event in story.events
        ],
    }
