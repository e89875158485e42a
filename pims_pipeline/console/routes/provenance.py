"""Where Dagster links to: what a sync changed on a date, and the syncs of a run."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.rendering import page
from pims_pipeline.operations.console.sync_changes import run_syncs, sync_changes

router = APIRouter()

_SLUG = r"^[a-z0-9][a-z0-9-]{1,39}$"
_FIRST, _LAST = date(2000, 1, 1), date(2100, 12, 31)
_PER_PAGE = 50


@router.get("/clinics/{slug}/changes/{audit_id}")
def show_changes(
    request: Request,
    visitor: SignedInVisitor,
    slug: Annotated[str, Path(pattern=_SLUG)],
    audit_id: UUID,
    *,
    day: Annotated[date | None, Query(alias="date", ge=_FIRST, le=_LAST)] = None,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
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
    last = max(1, -(-seen.total // _PER_PAGE))
    return page(request, "changes.html", seen=seen, number=number, last=last)


@router.get("/runs/{run_id}")
def show_run(request: Request, visitor: SignedInVisitor, run_id: UUID) -> Response:
    """Show the syncs of a run."""
    seen = run_syncs(visitor.view, str(run_id), dagster_ui_url=visitor.context.dagster_ui_url)
    return page(request, "run.html", seen=seen)
