"""``/metrics``: what Prometheus is told, read from the store and from Dagster at each scrape.

Names and labels stand in ``observability/metrics.py``; what the store tells, and that the API's
role may know it of all clinics, in ``store/metrics.py``.
"""

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_state import DagsterState
from pims_pipeline.api.errors import ApiError
from pims_pipeline.api.probes import Answer, Probe
from pims_pipeline.observability.metrics import (
    CONTENT_TYPE,
    ClinicReading,
    Metrics,
    Reading,
    RequestMetrics,
)
from pims_pipeline.store.database import transaction
from pims_pipeline.store.metrics import ENDS, EndedSyncs, clinic_readings, open_alerts
from pims_pipeline.wire.problems import ErrorBody

_STORE_SECONDS = 8
"""Prometheus waits ten unless told otherwise."""

_WRONG_TOKEN = "Missing or wrong bearer token"  # noqa: S105 - tells of tokens, is none
_NOT_FROM_HERE = "Only this machine may read metrics; set PIMS_METRICS_TOKEN to read them elsewhere"
_OF_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""Headers that a proxy adds: who sent the request is not who connected."""


class Scrapes:
    """What one application tells Prometheus.

    Attributes:
        requests: To be told of every request.
    """

    def __init__(self, context: ApiContext) -> None:
        """Read nothing yet; syncs that end from now on will be counted."""
        self._context = context
        self._metrics = Metrics(ends=ENDS)
        self._ended = EndedSyncs(context.clock())
        # One question at a time, so that two scrapes at once count no sync twice.
        self._store = Probe("metrics of the database", self._read_store, seconds=_STORE_SECONDS)
        self._dagster = Probe("metrics of Dagster", context.dagster.state)

    @property
    def requests(self) -> RequestMetrics:
        """To be told of every request."""
        return self._metrics.requests

    async def render(self) -> bytes:
        """The text of a scrape; takes eight seconds at most."""
        dagster = _answer(self._dagster)
        asked = asyncio.create_task(dagster)
        clinics, alerts = await _answer(self._store) or (None, None)
        state = await asked
        now = self._context.clock()
        reading = Reading(
            clinics=clinics,
            open_alerts=alerts,
            runs=_by_state(state),
            daemon_ages={} if state is None else _ages(state, now),
        )
        return await run_in_threadpool(self._metrics.render, reading)

    def _read_store(self) -> tuple[Sequence[ClinicReading], Mapping[str, int]]:
        with transaction(self._context.engine) as connection:
            ended = self._ended.new(connection, self._context.clock())
            for each in ended:
                self._metrics.syncs.count(each.slug, each.phase, each.status, each.seconds)
            return clinic_readings(connection), open_alerts(connection)


async def _answer(probe: Probe[Answer]) -> Answer | None:
    try:
        return await probe.answer()
    except Exception:  # noqa: BLE001 - the scrape itself tells that a source failed
        return None


def _by_state(state: DagsterState | None) -> dict[str, int] | None:
    return None if state is None else {"queued": state.queued, "running": state.running}


def _ages(state: DagsterState, now: datetime) -> dict[str, float]:
    """Seconds since the daemon's heartbeat, and since alerts were last evaluated."""
    moments = {"heartbeat": state.daemon_seen_at, "alerts": state.alerts_evaluated_at}
    # The clock of the daemon's machine may be ahead.
    return {
        name: max(0.0, now.timestamp() - moment)
        for name, moment in moments.items()
        if moment is not None
    }


def _check_reader(request: Request, token: str | None) -> None:
    """Let in whoever has the token; where there is none, whoever is on this machine.

    Raises:
        ApiError: 401 or 403, for everyone else.
    """
    if token is not None:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
            raise ApiError(401, _WRONG_TOKEN, {"WWW-Authenticate": "Bearer"})
    elif not _is_from_here(request):
        raise ApiError(403, _NOT_FROM_HERE)


def _is_from_here(request: Request) -> bool:
    if request.client is None or any(header in request.headers for header in _OF_PROXIES):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _refused(error: str) -> dict[str, Any]:
    example = {"success": False, "error": error, "timestamp": "2026-03-09T14:00:00.000Z"}
    return {
        "model": ErrorBody,
        "description": error,
        "content": {"application/json": {"example": example}},
    }


_EXAMPLE = """\
# HELP pims_syncs_total Phases over one window that ended since the API started.
# TYPE pims_syncs_total counter
pims_syncs_total{clinic="maple-street",phase="inbound",status="completed"} 12.0
"""

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        401: _refused(_WRONG_TOKEN),
        403: _refused(_NOT_FROM_HERE),
    },
)
async def metrics(request: Request) -> Response:
    """Counts, durations and ages, by clinic and phase; nothing about people.

    With `PIMS_METRICS_TOKEN` set, for whoever sends it as a bearer token; without it, for this
    machine alone, and not through a proxy.
    """
    context: ApiContext = request.app.state.context
    scrapes: Scrapes = request.app.state.scrapes
    _check_reader(request, context.metrics_token)
    return Response(await scrapes.render(), headers={"Content-Type": CONTENT_TYPE})
