"""``/api/cases``: where a case comes from. What is told of it stands in ``sync/provenance``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from pims_pipeline.api.auth import Caller, GuardedRoute, require
from pims_pipeline.api.context import Context
from pims_pipeline.api.errors import NO_SUCH_CASE, ApiError, error_responses
from pims_pipeline.api.examples import PROVENANCE
from pims_pipeline.api.schemas import Id, Provenance
from pims_pipeline.store.case_stories import UnknownCase, case_story
from pims_pipeline.store.tenancy import clinic_transaction
from pims_pipeline.sync.provenance import provenance_result

router = APIRouter(prefix="/api/cases", tags=["cases"], route_class=GuardedRoute)


@router.get(
    "/{id}/provenance",
    response_class=JSONResponse,
    responses={
        200: {
            "model": Provenance,
            "description": "The case and its story.",
            "content": {"application/json": {"examples": {"story": {"value": PROVENANCE}}}},
        },
        **error_responses(400, 404),
    },
    summary="Why a case looks as it does",
)
def get_provenance(
    context: Context,
    caller: Annotated[Caller, Depends(require("read"))],
    case_id: Annotated[Id, Path(alias="id", description="The case's.")],
) -> JSONResponse:
    """Tell how a case stands, and every change of it with its cause, oldest first."""
    try:
        with clinic_transaction(context.engine, caller.clinic_id) as connection:
            story = case_story(connection, case_id)
    except UnknownCase as error:
        raise ApiError(404, NO_SUCH_CASE) from error
    return JSONResponse(provenance_result(story, dagster_ui_url=context.dagster_ui_url))
