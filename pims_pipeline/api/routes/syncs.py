"""``/api/sync``: starting syncs and telling of them.

Starting is in ``launching``, looking in ``watching``. Responses are put together in ``answers``
from the models of ``pims_pipeline.wire``; the bodies of requests are in ``bodies``.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query
from pydantic import WithJsonSchema

from pims_pipeline.api.access.auth import GuardedRoute, ReadKey, require
from pims_pipeline.api.access.caller import Caller
from pims_pipeline.api.bodies import CasesBody, FullBody, Id, InboundBody, ReconcileBody
from pims_pipeline.api.dependencies import Context, Desk
from pims_pipeline.api.errors import NO_SUCH_SYNC, ApiError, error_responses
from pims_pipeline.api.examples import ACCEPTED, BODIES, FULL, INBOUND, LIST, STATUS
from pims_pipeline.api.request_options import BadCursor, cursor_of, preferred_wait
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.api.services import SyncDesk
from pims_pipeline.api.syncs.documents import accepted, page, path_of_sync, status
from pims_pipeline.api.syncs.launching import Wanted
from pims_pipeline.domain.phases import PHASES, SCOPES, Phase
from pims_pipeline.store.queries.syncs import SyncCursor, find_sync
from pims_pipeline.store.queries.syncs import list_syncs as stored_syncs
from pims_pipeline.wire.results import AnyResult, any_result
from pims_pipeline.wire.syncs import Accepted, SyncList, SyncStatus

BAD_CURSOR: Final = "cursor: must be a nextCursor that this API gave"

router = APIRouter(prefix="/api/sync", tags=["syncs"], route_class=GuardedRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A name of your own for this request. Sent again within 24 hours, it is "
        "answered as before and starts nothing.",
        examples=["2026-03-09-morning"],
    ),
]
Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait=N`: wait up to N seconds (120 at most) for the sync to end.",
    ),
    # Any text will do: what is not understood is ignored, as RFC 7240 wants it.
    WithJsonSchema({"type": "string", "examples": ["wait=30"]}),
]
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true` when the Idempotency-Key was used before, and nothing was started.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "The `wait` of `Prefer`, when it was honoured.",
        "schema": {"type": "string"},
    },
}


def _json(description: str, **examples: object) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples.items()}
    return {"description": description, "content": {"application/json": {"examples": named}}}


_STARTING: dict[int | str, dict[str, Any]] = {
    200: {
        **_json(
            "The sync has ended: how it went, in the body. Only with `Prefer: wait`.",
            inbound=INBOUND,
            full=FULL,
        ),
        "model": AnyResult,
        "headers": _REPLAYED,
    },
    202: {
        **_json("The sync is being done.", accepted=ACCEPTED),
        "headers": {
            **_REPLAYED,
            "Location": {"description": "Where it is told of.", "schema": {"type": "string"}},
        },
    },
    **error_responses(400, 409, 422),
}


def _answered(
    desk: SyncDesk, caller: Caller, wanted: Wanted, key: str | None, prefer: list[str] | None
) -> ModelResponse:
    request, is_replay = desk.launcher.start(caller, wanted, key)
    headers = {"Location": path_of_sync(request.id)}
    if is_replay:
        headers["Idempotent-Replayed"] = "true"
    seconds = preferred_wait(prefer or [])
    if seconds is not None:
        told, has_waited = desk.watcher.wait(caller.clinic_id, request.id, seconds)
        if has_waited:
            headers["Preference-Applied"] = f"wait={seconds}"
        if told is not None and told.standing.result is not None:
            return ModelResponse(any_result(told.standing.result), 200, headers)
    return ModelResponse(
        accepted(request, dagster_ui_url=desk.context.dagster_ui_url), 202, headers
    )


@router.post(
    "/inbound",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Bring the calendar in",
)
def sync_inbound(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.INBOUND.names.permission))],
    body: Annotated[InboundBody | None, Body(openapi_examples=BODIES["inbound"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Start a sync of appointments into cases."""
    wanted = (body or InboundBody()).wanted("inbound")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/cases",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Fetch consultations",
)
def sync_cases(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.CASES.names.permission))],
    body: Annotated[CasesBody | None, Body(openapi_examples=BODIES["cases"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Start a sync of past appointments' consultations onto their cases."""
    wanted = (body or CasesBody()).wanted("cases")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/reconciliation",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="The same as /api/sync/reconcile",
    operation_id="sync_reconciliation",
)
@router.post(
    "/reconcile",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Retire cases without an appointment",
    operation_id="sync_reconcile",
)
def sync_reconcile(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.RECONCILIATION.names.permission))],
    body: Annotated[ReconcileBody | None, Body(openapi_examples=BODIES["reconcile"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Start a comparison of cases with the calendar. Nothing is ever physically deleted."""
    wanted = (body or ReconcileBody()).wanted("reconcile")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/full",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="All three, in one run",
)
def sync_full(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(*(names.permission for names in PHASES.values())))],
    body: Annotated[FullBody | None, Body(openapi_examples=BODIES["full"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Start all three phases over the same dates. The later two depend on the first alone."""
    wanted = (body or FullBody()).wanted("full")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


def _start_only() -> None:
    raise ApiError(405, "Method Not Allowed", {"Allow": "POST"})


for _name in (*SCOPES, Phase.RECONCILIATION.value):
    # Else the next route would take the name for a sync's id.
    router.add_api_route(f"/{_name}", _start_only, methods=["GET"], include_in_schema=False)


@router.get(
    "/{syncId}",
    response_model=SyncStatus,
    responses={200: _json("How it stands.", **STATUS), **error_responses(400, 404)},
    summary="How a sync stands",
)
def get_sync(
    desk: Desk,
    key: ReadKey,
    sync_id: Annotated[Id, Path(alias="syncId", description="As the start was answered.")],
) -> ModelResponse:
    """Tell how a sync stands: queued, running, completed, failed or held."""
    with key.clinic_transaction() as (caller, connection):
        sync = find_sync(connection, caller.clinic_id, sync_id)
    if sync is None:
        raise ApiError(404, NO_SUCH_SYNC)
    told = desk.watcher.told(caller.clinic_id, sync)
    return ModelResponse(status(told, dagster_ui_url=desk.context.dagster_ui_url))


@router.get(
    "",
    response_model=SyncList,
    responses={200: _json("A page of them.", page=LIST), **error_responses(400)},
    summary="The newest syncs",
)
def list_syncs(
    desk: Desk,
    context: Context,
    key: ReadKey,
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="The `nextCursor` of the page before.")
    ] = None,
) -> ModelResponse:
    """List the clinic's syncs, newest first, whoever or whatever started them."""
    with key.clinic_transaction() as (caller, connection):
        after = _place(cursor)
        syncs = stored_syncs(connection, caller.clinic_id, limit=limit + 1, after=after)
    told = desk.watcher.report_all(syncs)
    return ModelResponse(
        page(told, limit, now=context.clock(), dagster_ui_url=context.dagster_ui_url)
    )


def _place(cursor: str | None) -> SyncCursor | None:
    """The place that a cursor names.

    Raises:
        ApiError: 400, if it is none of ours.
    """
    try:
        return None if cursor is None else cursor_of(cursor)
    except BadCursor as error:
        raise ApiError(400, BAD_CURSOR) from error
