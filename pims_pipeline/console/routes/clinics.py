"""The page of a clinic: its status, and its calendar day by day beside its cases."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from pims_pipeline.console.access.visitors import SignedInVisitor
from pims_pipeline.console.plots import activity_plots
from pims_pipeline.console.rendering import page
from pims_pipeline.console.routes.lists import Day, Slug
from pims_pipeline.dagster_names import partition_key
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.console.clinic_day import clinic_day
from pims_pipeline.sync.provenance import partition_url

router = APIRouter()


@router.get("/clinics/{slug}")
def clinic_page(
    request: Request, visitor: SignedInVisitor, slug: Slug, day: Day = None
) -> Response:
    """Show a clinic on a business date; today unless one is given."""
    seen = clinic_day(visitor.view, slug, day)
    key, ui = partition_key(slug, seen.day), visitor.context.dagster_ui_url
    partitions = {each: partition_url(ui, each.names.asset, key) for each in Phase}
    plots = activity_plots(seen.days)
    return page(request, "clinic.html", seen=seen, plots=plots, partitions=partitions)
