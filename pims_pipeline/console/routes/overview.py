"""The first page: every clinic of the operator, those that need a person first."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.plots import activity_plots
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Number, part_of
from pims_pipeline.operations.console.overview import ClinicSummary, overview

router = APIRouter()


@router.get("/")
def overview_page(
    request: Request,
    visitor: SignedInVisitor,
    find: Annotated[str, Query(max_length=100)] = "",
    number: Number = 1,
) -> Response:
    """Show the clinics whose slug or name holds ``find``, a hundred at a time."""
    seen = overview(visitor.view)
    found = [each for each in seen.clinics if _is_match(each, find)]
    clinics, links = part_of(found, number)
    return page(
        request,
        "overview.html",
        seen=seen,
        clinics=clinics,
        found=len(found),
        find=find,
        plots=activity_plots(seen.days),
        **links,
    )


def _is_match(clinic: ClinicSummary, find: str) -> bool:
    wanted = find.strip().casefold()
    named = clinic.state.clinic
    return wanted in named.slug or wanted in named.name.casefold()
