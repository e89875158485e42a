"""``/api/sync``: start syncs and return their status.

Starting belongs in ``syncs.launching``, reading in ``syncs.watcher``, building responses in
``syncs.documents``, the bodies of requests in ``bodies``.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query
from pydantic import WithJsonSchema

from pims_pipeline.api.access.auth import GuardedRoute, ReadKey, require
from pims_pipeline.api.access.caller import Caller
from pims_pipeline.api.bodies import CasesBody, FullBody, Id, InboundBody, ReconcileBody
from pims_pipeline.api.dependencies import Context, Syncs
from pims_pipeline.api.errors import NO_SUCH_SYNC, ApiError, error_responses
from pims_pipeline.api.examples import ACCEPTED, BODIES, FULL, INBOUND, LIST, STATUS
from pims_pipeline.api.request_options import BadCursor, cursor_of, preferred_wait
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.api.services import SyncServices
from pims_pipeline.api.syncs.documents import accepted, page, path_of_sync, status
from pims_pipeline.api.syncs.spec import SyncSpec
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
        description="A name of your choice for this request. If you repeat the request with it "
        "within 24 hours, you get the same response, and no second sync starts.",
        examples=["2026-03-09-morning"],
    ),
]
Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait=N`: wait up to N seconds (120 at most) for the sync to end; "
        "`respond-async`: do not wait. Without it, the key's own wait applies, if it has one.",
    ),
    # Any text is valid: RFC 7240 ignores unknown preferences.
    WithJsonSchema({"type": "string", "examples": ["wait=30"]}),
]
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true` if the Idempotency-Key was used before; no sync was started.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "The `wait` of `Prefer`, if it was applied.",
        "schema": {"type": "string"},
    },
}


def _json(description: str, **examples: object) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples.items()}
    return {"description": description, "content": {"application/json": {"examples": named}}}


_STARTING: dict[int | str, dict[str, Any]] = {
    200: {
        **_json(
            "The sync has ended; the body has its result. Only with `Prefer: wait`, or with a key "
            "that waits.",
            inbound=INBOUND,
            full=FULL,
        ),
        "model": AnyResult,
        "headers": _REPLAYED,
    },
    202: {
        **_json("The sync is queued.", accepted=ACCEPTED),
        "headers": {
            **_REPLAYED,
            "Location": {"description": "The path of the sync.", "schema": {"type": "string"}},
        },
    },
    **error_responses(400, 409, 422),
}


def _start(
    syncs: SyncServices, caller: Caller, spec: SyncSpec, key: str | None, prefer: list[str] | None
) -> ModelResponse:
    request, is_replay = syncs.launcher.start(caller, spec, key)
    headers = {"Location": path_of_sync(request.id)}
    if is_replay:
        headers["Idempotent-Replayed"] = "true"
    preferred = preferred_wait(prefer or [])
    seconds = caller.wait_seconds if preferred is None else preferred
    if seconds:
        report, has_waited = syncs.watcher.wait(caller.clinic_id, request.id, seconds)
        if has_waited and preferred is not None:
            headers["Preference-Applied"] = f"wait={seconds}"
        if report is not None and report.state.result is not None:
            return ModelResponse(any_result(report.state.result), 200, headers)
    return ModelResponse(
        accepted(request, dagster_ui_url=syncs.context.dagster_ui_url), 202, headers
    )


@router.post(
    "/inbound",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Start a sync of the calendar",
)
def sync_inbound(
    syncs: Syncs,
    caller: Annotated[Caller, Depends(require(Phase.INBOUND.names.permission))],
    body: Annotated[InboundBody | None, Body(openapi_examples=BODIES["inbound"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Fetch the appointments of the dates, and create or update their cases."""
    spec = (body or InboundBody()).spec("inbound")
    return _start(syncs, caller, spec, idempotency_key, prefer)


@router.post(
    "/cases",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Start a sync of consultations",
)
def sync_cases(
    syncs: Syncs,
    caller: Annotated[Caller, Depends(require(Phase.CASES.names.permission))],
    body: Annotated[CasesBody | None, Body(openapi_examples=BODIES["cases"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Fetch the consultations of past appointments, and add them to their cases."""
    spec = (body or CasesBody()).spec("cases")
    return _start(syncs, caller, spec, idempotency_key, prefer)


@router.post(
    "/reconciliation",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Start a reconciliation; the same as /api/sync/reconcile",
    operation_id="sync_reconciliation",
)
@router.post(
    "/reconcile",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Start a reconciliation",
    operation_id="sync_reconcile",
)
def sync_reconcile(
    syncs: Syncs,
    caller: Annotated[Caller, Depends(require(Phase.RECONCILIATION.names.permission))],
    body: Annotated[ReconcileBody | None, Body(openapi_examples=BODIES["reconcile"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Compare the cases with the calendar, and soft-delete those without an appointment."""
    spec = (body or ReconcileBody()).spec("reconcile")
    return _start(syncs, caller, spec, idempotency_key, prefer)


@router.post(
    "/full",
    status_code=202,
    response_model=Accepted,
    responses=_STARTING,
    summary="Start a sync of all phases",
)
def sync_full(
    syncs: Syncs,
    caller: Annotated[Caller, Depends(require(*(names.permission for names in PHASES.values())))],
    body: Annotated[FullBody | None, Body(openapi_examples=BODIES["full"])] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> ModelResponse:
    """Run all three phases over the same dates. If the first fails, the others do not run."""
    spec = (body or FullBody()).spec("full")
    return _start(syncs, caller, spec, idempotency_key, prefer)


def _post_only() -> None:
    raise ApiError(405, "Method Not Allowed", {"Allow": "POST"})


for _name in (*SCOPES, Phase.RECONCILIATION.value):
    # Otherwise the next route would take the name for the id of a sync.
    router.add_api_route(f"/{_name}", _post_only, methods=["GET"], include_in_schema=False)


@router.get(
    "/{syncId}",
    response_model=SyncStatus,
    responses={200: _json("The status of the sync.", **STATUS), **error_responses(400, 404)},
    summary="Return the status of a sync",
)
def get_sync(
    syncs: Syncs,
    key: ReadKey,
    sync_id: Annotated[
        Id, Path(alias="syncId", description="The `syncId` of the response to the POST.")
    ],
) -> ModelResponse:
    """Return the status of a sync: queued, running, completed, failed or held."""
    with key.clinic_transaction() as (caller, connection):
        sync = find_sync(connection, caller.clinic_id, sync_id)
    if sync is None:
        raise ApiError(404, NO_SUCH_SYNC)
    report = syncs.watcher.report(caller.clinic_id, sync)
    return ModelResponse(status(report, dagster_ui_url=syncs.context.dagster_ui_url))


@router.get(
    "",
    response_model=SyncList,
    responses={200: _json("A page of syncs.", page=LIST), **error_responses(400)},
    summary="List syncs",
)
def list_syncs(
    syncs: Syncs,
    context: Context,
    key: ReadKey,
    limit: Annotated[int, Query(ge=1, le=100, description="Number of syncs, at most.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="The `nextCursor` of the previous page.")
    ] = None,
) -> ModelResponse:
    """List the clinic's syncs, newest first: of the API, of schedules and of operators."""
    with key.clinic_transaction() as (caller, connection):
        after = _position(cursor)
        found = stored_syncs(connection, caller.clinic_id, limit=limit + 1, after=after)
    reports = syncs.watcher.report_all(found)
    return ModelResponse(
        page(reports, limit, now=context.clock(), dagster_ui_url=context.dagster_ui_url)
    )


def _position(cursor: str | None) -> SyncCursor | None:
    """Return the position of a cursor.

    Raises:
        ApiError: 400, if this API did not create the cursor.
    """
    try:
        return None if cursor is None else cursor_of(cursor)
    except BadCursor as error:
        raise ApiError(400, BAD_CURSOR) from error
