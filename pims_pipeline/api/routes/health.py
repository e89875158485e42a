"""``/health``: the process lives; ``/ready``: what it needs to serve works. For probes.

Neither asks for a key, and neither names a host, a role or a secret. What is checked stands in
``readiness``.
"""

from typing import Any

from fastapi import APIRouter

from pims_pipeline.api.dagster_client import DagsterUnreachable
from pims_pipeline.api.dependencies import ReadinessChecks
from pims_pipeline.api.monitoring.readiness import DETAILS
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.wire.health import Alive, Check, Ready

router = APIRouter(tags=["operations"])


# Coroutines: they answer also when every thread is taken by clients.
@router.get(
    "/health",
    summary="Whether the process lives",
    responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}},
)
async def health() -> Alive:
    """Answers as long as the process does, whatever state the database and Dagster are in."""
    return Alive(status="ok")


def _documented(description: str, ready: Ready) -> dict[str, Any]:
    example = ready.model_dump(mode="json")
    return {
        "model": Ready,
        "description": description,
        "content": {"application/json": {"example": example}},
    }


_OK = Check(status="ok")
_ALL_WELL = Ready(ready=True, checks={"database": _OK, "migrations": _OK, "dagster": _OK})
_NOT_READY = Ready(
    ready=False,
    checks={
        "database": _OK,
        "migrations": _OK,
        "dagster": Check(status="failed", detail=DETAILS[DagsterUnreachable]),
    },
)


@router.get(
    "/ready",
    summary="Whether syncs can be asked for and told of",
    response_model=Ready,
    responses={
        200: _documented("All checks pass", _ALL_WELL),
        503: _documented("Some check fails", _NOT_READY),
    },
)
async def ready(readiness: ReadinessChecks) -> ModelResponse:
    """Checks the database, with the rights of the API's role; its tables; and Dagster.

    Each check takes three seconds at most and is made at most once a second.
    """
    found = await readiness.look()
    return ModelResponse(found, 200 if found.ready else 503)
