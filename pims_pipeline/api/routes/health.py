"""``/health`` and ``/ready``, for probes.

Neither needs a key, and neither names a host, a role or a secret. The checks are in
``monitoring.readiness``. ``/health`` is what restarts a process: its status depends on no check.
"""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from pims_pipeline.api.dagster_client import DagsterUnreachable
from pims_pipeline.api.dependencies import Context, ReadinessChecks
from pims_pipeline.api.monitoring.readiness import DETAILS
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.api.routes.service_card import SERVICE, VERSION
from pims_pipeline.wire.health import Check, Health, HealthCheck, Ready

router = APIRouter(tags=["operations"])


_ALIVE = Health(
    status="healthy",
    service=SERVICE,
    version=VERSION,
    timestamp=datetime(2026, 3, 9, 14, tzinfo=UTC),
    uptime_seconds=86_400,
    checks=[
        HealthCheck(name="database", status="ok"),
        HealthCheck(name="migrations", status="ok"),
        HealthCheck(name="dagster", status="failed", detail=DETAILS[DagsterUnreachable]),
    ],
)


def _documented(description: str, example: Health | Ready) -> dict[str, Any]:
    return {
        "model": type(example),
        "description": description,
        "content": {"application/json": {"example": example.model_dump(mode="json")}},
    }


# Coroutines: they respond even when clients use every thread.
@router.get(
    "/health",
    summary="Return whether the process is alive",
    response_model=Health,
    responses={200: _documented("The process is alive", _ALIVE)},
)
async def health(context: Context, readiness: ReadinessChecks) -> ModelResponse:
    """Return 200 while the process is alive, whatever the state of the database and Dagster.

    `checks` reports that state, as far as it is known within half a second.
    """
    return ModelResponse(
        Health(
            status="healthy",
            service=SERVICE,
            version=VERSION,
            timestamp=context.clock(),
            uptime_seconds=readiness.uptime_seconds,
            checks=await readiness.glance(),
        )
    )


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
