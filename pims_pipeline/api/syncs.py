"""``/api/sync``: starting syncs and telling of them.

Starting stands in ``launching``, telling in ``watching``, the shapes in ``schemas``, what is
said in ``answers``.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from pims_pipeline.api.answers import accepted, page, path_of_sync, status
from pims_pipeline.api.auth import Caller, GuardedRoute, require
from pims_pipeline.api.context import ApiContext, Context
from pims_pipeline.api.errors import NO_SUCH_SYNC, ApiError, error_responses
from pims_pipeline.api.examples import ACCEPTED, BODIES, FULL, INBOUND, LIST, STATUS
from pims_pipeline.api.launching import SyncLauncher, Wanted
from pims_pipeline.api.preferences import BadCursor, place_of, preferred_wait
from pims_pipeline.api.schemas import (
    Accepted,
    AnyResult,
    CasesBody,
    FullBody,
    Id,
    InboundBody,
    ReconcileBody,
    SyncList,
    SyncStatus,
)
from pims_pipeline.api.waiting import WaitingRoom
from pims_pipeline.api.watching import SyncWatcher
from pims_pipeline.domain.phases import PHASES, SCOPES, Phase

BAD_CURSOR: Final = "cursor: must be a nextCursor that this API gave"

router = APIRouter(prefix="/api/sync", tags=["syncs"], route_class=GuardedRoute)


class SyncDesk:
    """Where one application's requests for syncs are taken.

    Args:
        context: The application's.
    """

    def __init__(self, context: ApiContext) -> None:
        room = WaitingRoom(context.stopping)
        self.launcher = SyncLauncher(context, room)
        self.watcher = SyncWatcher(context, room)
        self.context = context


# A coroutine, so that no thread is borrowed to look at an attribute.
async def _desk(request: Request) -> SyncDesk:
    desk: SyncDesk = request.app.state.desk
    return desk


Desk = Annotated[SyncDesk, Depends(_desk)]
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


def _json(model: Any, description: str, **examples: object) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples.items()}
    return {
        "model": model,
        "description": description,
        "content": {"application/json": {"examples": named}},
    }


_STARTING: dict[int | str, dict[str, Any]] = {
    200: {
        **_json(
            AnyResult,
            "The sync has ended: how it went, in the body. Only with `Prefer: wait`.",
            inbound=INBOUND,
            full=FULL,
        ),
        "headers": _REPLAYED,
    },
    202: {
        **_json(Accepted, "The sync is being done.", accepted=ACCEPTED),
        "headers": {
            **_REPLAYED,
            "Location": {"description": "Where it is told of.", "schema": {"type": "string"}},
        },
    },
    **error_responses(400, 409, 422),
}


def _answered(
    desk: SyncDesk, caller: Caller, wanted: Wanted, key: str | None, prefer: list[str] | None
) -> JSONResponse:
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
            return JSONResponse(told.standing.result, 200, headers)
    return JSONResponse(accepted(request, dagster_ui_url=desk.context.dagster_ui_url), 202, headers)


@router.post(
    "/inbound",
    status_code=202,
    response_class=JSONResponse,
    responses=_STARTING,
    summary="Bring the diary in",
)
def sync_inbound(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.INBOUND.names.permission))],
    body: Annotated[InboundBody | None, Body(openapi_examples=BODIES["inbound"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Start a sync of appointments into cases."""
    wanted = (body or InboundBody()).wanted("inbound")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/cases",
    status_code=202,
    response_class=JSONResponse,
    responses=_STARTING,
    summary="Fetch medical records",
)
def sync_cases(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.CASES.names.permission))],
    body: Annotated[CasesBody | None, Body(openapi_examples=BODIES["cases"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Start a sync of past visits' medical records onto their cases."""
    wanted = (body or CasesBody()).wanted("cases")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/reconciliation",
    status_code=202,
    response_class=JSONResponse,
    responses=_STARTING,
    summary="The same as /api/sync/reconcile",
    operation_id="sync_reconciliation",
)
@router.post(
    "/reconcile",
    status_code=202,
    response_class=JSONResponse,
    responses=_STARTING,
    summary="Retire cases without a visit",
    operation_id="sync_reconcile",
)
def sync_reconcile(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(Phase.RECONCILIATION.names.permission))],
    body: Annotated[ReconcileBody | None, Body(openapi_examples=BODIES["reconcile"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Start a comparison of cases with the diary. Nothing is ever physically deleted."""
    wanted = (body or ReconcileBody()).wanted("reconcile")
    return _answered(desk, caller, wanted, idempotency_key, prefer)


@router.post(
    "/full",
    status_code=202,
    response_class=JSONResponse,
    responses=_STARTING,
    summary="All three, in one run",
)
def sync_full(
    desk: Desk,
    caller: Annotated[Caller, Depends(require(*(names.permission for names in PHASES.values())))],
    body: Annotated[FullBody | None, Body(openapi_examples=BODIES["full"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> JSONResponse:
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
    response_class=JSONResponse,
    responses={200: _json(SyncStatus, "How it stands.", **STATUS), **error_responses(400, 404)},
    summary="How a sync stands",
)
def get_sync(
    desk: Desk,
    caller: Annotated[Caller, Depends(require("read"))],
    sync_id: Annotated[Id, Path(alias="syncId", description="As the start was answered.")],
) -> JSONResponse:
    """Tell how a sync stands: queued, running, completed, failed or held."""
    told = desk.watcher.look(caller.clinic_id, sync_id)
    if told is None:
        raise ApiError(404, NO_SUCH_SYNC)
    return JSONResponse(status(told, dagster_ui_url=desk.context.dagster_ui_url))


@router.get(
    "",
    response_class=JSONResponse,
    responses={200: _json(SyncList, "A page of them.", page=LIST), **error_responses(400)},
    summary="The newest syncs",
)
def list_syncs(
    desk: Desk,
    context: Context,
    caller: Annotated[Caller, Depends(require("read"))],
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="The `nextCursor` of the page before.")
    ] = None,
) -> JSONResponse:
    """List the clinic's syncs, newest first, whoever or whatever started them."""
    try:
        after = None if cursor is None else place_of(cursor)
    except BadCursor as error:
        raise ApiError(400, BAD_CURSOR) from error
    told = desk.watcher.newest(caller.clinic_id, limit + 1, after)
    return JSONResponse(
        page(told, limit, now=context.clock(), dagster_ui_url=context.dagster_ui_url)
    )
