"""Where Dagster links to: what a sync changed on a date, and the syncs of a run."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Day, Number, Slug, parts_of
from pims_pipeline.operations.console.sync_changes import run_syncs, sync_changes

router = APIRouter()

_PER_PAGE = 50


@router.get("/clinics/{slug}/changes/{audit_id}")
def show_changes(
    request: Request,
    visitor: SignedInVisitor,
    slug: Slug,
    audit_id: UUID,
    *,
    day: Day = None,
    number: Number = 1,
) -> Response:
    """Show what a sync changed on a business date, case by case, fifty changes at a time."""
    seen = sync_changes(
        visitor.view,
        slug,
        audit_id,
        day,
        dagster_ui_url=visitor.context.dagster_ui_url,
        skip=(number - 1) * _PER_PAGE,
        limit=_PER_PAGE,
    )
    last = parts_of(seen.total, _PER_PAGE)
    return page(request, "changes.html", seen=seen, number=number, last=last)


@router.get("/runs/{run_id}")
def show_run(request: Request, visitor: SignedInVisitor, run_id: UUID) -> Response:
    """Show the syncs of a run."""
    seen = run_syncs(visitor.view, str(run_id), dagster_ui_url=visitor.context.dagster_ui_url)
    return page(request, "run.html", seen=seen)
