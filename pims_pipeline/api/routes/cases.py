"""``/api/cases``: the provenance of a case; ``sync.provenance`` assembles it."""

from typing import Annotated

from fastapi import APIRouter, Path

from pims_pipeline.api.access.auth import GuardedRoute, ReadKey
from pims_pipeline.api.bodies import Id
from pims_pipeline.api.dependencies import Context
from pims_pipeline.api.errors import NO_SUCH_CASE, ApiError, error_responses
from pims_pipeline.api.examples import PROVENANCE
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.store.queries.case_history import UnknownCase, case_history
from pims_pipeline.sync.provenance import provenance_of
from pims_pipeline.wire.cases import Provenance

router = APIRouter(prefix="/api/cases", tags=["cases"], route_class=GuardedRoute)


@router.get(
    "/{id}/provenance",
    response_model=Provenance,
    responses={
        200: {
            "description": "The case and its history.",
            "content": {"application/json": {"examples": {"history": {"value": PROVENANCE}}}},
        },
        **error_responses(400, 404),
    },
    summary="Return the history of a case",
)
def get_provenance(
    context: Context,
    key: ReadKey,
    case_id: Annotated[Id, Path(alias="id", description="The id of the case.")],
) -> ModelResponse:
    """Return the present state of a case, and each change with its cause, oldest first."""
    try:
        with key.clinic_transaction() as (_, connection):
            history = case_history(connection, case_id)
    except UnknownCase as error:
        raise ApiError(404, NO_SUCH_CASE) from error
    provenance = provenance_of(history, dagster_ui_url=context.dagster_ui_url)
    return ModelResponse(Provenance.of(provenance))
