"""The page of a case: its time line."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.rendering import page
from pims_pipeline.operations.console.case_page import case_page

router = APIRouter()

_PER_PAGE = 50


@router.get("/cases/{case_id}")
def show_case(
    request: Request,
    visitor: SignedInVisitor,
    case_id: UUID,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
) -> Response:
    """Show a case, and its changes, newest first, fifty at a time."""
    seen = case_page(
        visitor.view,
        case_id,
        dagster_ui_url=visitor.context.dagster_ui_url,
        skip=(number - 1) * _PER_PAGE,
        limit=_PER_PAGE,
    )
    last = max(1, -(-seen.total // _PER_PAGE))
    return page(request, "case.html", seen=seen, number=number, last=last)
