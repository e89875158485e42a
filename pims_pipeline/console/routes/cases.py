"""The page of a case: its time line."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Number, parts_of
from pims_pipeline.operations.console.case_page import case_page

router = APIRouter()

_PER_PAGE = 50


@router.get("/cases/{case_id}")
def show_case(
    request: Request, visitor: SignedInVisitor, case_id: UUID, number: Number = 1
) -> Response:
    """Show a case, and its changes, newest first, fifty at a time."""
    seen = case_page(
        visitor.view,
        case_id,
        dagster_ui_url=visitor.context.dagster_ui_url,
        skip=(number - 1) * _PER_PAGE,
        limit=_PER_PAGE,
    )
    last = parts_of(seen.total, _PER_PAGE)
    return page(request, "case.html", seen=seen, number=number, last=last)
