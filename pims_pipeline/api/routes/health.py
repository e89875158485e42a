"""``/health`` and ``/ready``, for probes.

Neither needs a key, and neither names a host, a role or a secret. The checks are in
``monitoring.readiness``.
"""

from typing import Any

from fastapi import APIRouter

from pims_pipeline.api.dagster_client import DagsterUnreachable
from pims_pipeline.api.dependencies import ReadinessChecks
from pims_pipeline.api.monitoring.readiness import DETAILS
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.wire.health import Alive, Check, Ready

router = APIRouter(tags=["operations"])


# Coroutines: they respond even when clients use every thread.
@router.get(
    "/health",
    summary="Return whether the process is alive",
    responses={200: {"content": {"application/json": {"example": {"status": "ok"}}}}},
)
async def health() -> Alive:
    """Return 200 while the process is alive, whatever the state of the database and Dagster."""
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
    summary="Return whether the API can serve requests",
    response_model=Ready,
    responses={
        200: _documented("All checks pass", _ALL_WELL),
        503: _documented("A check fails", _NOT_READY),
    },
)
async def ready(readiness: ReadinessChecks) -> ModelResponse:
    """Check the database and the rights of the API's role, the tables, and Dagster.

    Each check takes three seconds at most and runs at most once a second.
    """
    found = await readiness.check()
    return ModelResponse(found, 200 if found.ready else 503)
