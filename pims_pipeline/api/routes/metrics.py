"""``/metrics`` and its access check. The metrics are in ``monitoring.scrapes``."""

import hmac
import ipaddress
from typing import Any

from fastapi import APIRouter, Request, Response

from pims_pipeline.api.dependencies import Context, MetricScrapes
from pims_pipeline.api.errors import ApiError
from pims_pipeline.observability.metrics import CONTENT_TYPE
from pims_pipeline.wire.problems import ErrorBody

_WRONG_TOKEN = "Missing or wrong bearer token"  # noqa: S105 - an error text
_NOT_FROM_HERE = "Only this machine may read metrics; set PIMS_METRICS_TOKEN to read them elsewhere"
_OF_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""Headers that a proxy adds: the client is not the peer of the connection."""


def _check_reader(request: Request, token: str | None) -> None:
    """Check that the client has the token; without a token, that it is on this machine.

    Raises:
        ApiError: 401 or 403, otherwise.
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
    summary="Return metrics for Prometheus",
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
async def metrics(request: Request, context: Context, scrapes: MetricScrapes) -> Response:
    """Return counts, durations and ages by clinic and phase; no personal data.

    With `PIMS_METRICS_TOKEN` set, send it as a bearer token. Without it, only requests from
    this machine are allowed, and not through a proxy.
    """
    _check_reader(request, context.metrics_token)
    return Response(await scrapes.render(), headers={"Content-Type": CONTENT_TYPE})
