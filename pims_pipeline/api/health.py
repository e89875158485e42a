"""``/health``: the process lives; ``/ready``: what it needs to serve works. For probes.

Neither asks for a key, and neither names a host, a role or a secret.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster import DagsterRefused, DagsterUnreachable
from pims_pipeline.api.probes import PROBE_SECONDS, Probe
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.store.database import (
    DatabaseNotMigrated,
    DatabaseRefused,
    DatabaseUnavailable,
    check_migrated,
    without_pool,
)
from pims_pipeline.store.tenancy import WrongApiRole, check_api_role
from pims_pipeline.wire.health import Alive, Check, Ready

_DETAILS: Mapping[type[Exception], str] = MappingProxyType(
    {
        TimeoutError: f"no answer within {PROBE_SECONDS} seconds",
        DatabaseUnavailable: "the database does not answer",
        WrongApiRole: "the API's login has other rights than it should; see the log",
        DatabaseNotMigrated: "the tables are not this program's; run `pims migrate`",
        DagsterUnreachable: "Dagster does not answer",
        DagsterRefused: "Dagster has not loaded the pipeline",
    }
)
_UNKNOWN = "it fails; see the log"
_STOPPING = "the process is ending"


class Readiness:
    """The checks of one application, made when somebody asks and at most once a second."""

    def __init__(self, context: ApiContext) -> None:
        """Check nothing yet."""
        self._stopping = context.stopping
        self._probes = {
            # A connection opened now: those of the pool may work long after new ones are refused.
            "database": Probe("database", partial(check_api_role, without_pool(context.engine))),
            "migrations": Probe("migrations", partial(check_migrated, context.engine)),
            "dagster": Probe("dagster", context.dagster.check),
        }

    async def look(self) -> Ready:
        """How everything stands; takes three seconds at most."""
        found = await asyncio.gather(*map(_check, self._probes.values()))
        checks = dict(zip(self._probes, found, strict=True))
        if self._stopping.is_set():
            checks["process"] = Check(status="failed", detail=_STOPPING)
        return Ready(ready=all(each.status == "ok" for each in checks.values()), checks=checks)


async def _check(probe: Probe[None]) -> Check:
    try:
        await probe.answer()
    except Exception as error:  # noqa: BLE001 - whatever it is, the check failed
        return Check(status="failed", detail=_detail(error))
    return Check(status="ok")


def _detail(error: Exception) -> str:
    if isinstance(error, DatabaseRefused):
        return error.what
    return next((detail for kind, detail in _DETAILS.items() if isinstance(error, kind)), _UNKNOWN)


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
        "dagster": Check(status="failed", detail=_DETAILS[DagsterUnreachable]),
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
async def ready(request: Request) -> ModelResponse:
    """Checks the database, with the rights of the API's role; its tables; and Dagster.

    Each check takes three seconds at most and is made at most once a second.
    """
    readiness: Readiness = request.app.state.readiness
    found = await readiness.look()
    return ModelResponse(found, 200 if found.ready else 503)
