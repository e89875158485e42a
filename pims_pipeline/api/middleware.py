"""The middleware around every route: request id, access log, headers, body limit, errors.

Plain ASGI, and most of it in one layer: each layer costs every request. The texts of errors
belong in ``errors``.
"""

import re
import time
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pims_pipeline.api.access.caller import caller_of
from pims_pipeline.api.errors import BODY_TOO_LARGE, INTERNAL_ERROR, ApiError, error_response
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.exceptions import described
from pims_pipeline.observability.logging import bound_context, get_logger
from pims_pipeline.observability.redaction import redact_text

REQUEST_ID = "X-Request-Id"
_REQUEST_ID = REQUEST_ID.lower().encode()
MAX_BODY_BYTES = 64 * 1024

Observer = Callable[[str | None, str, int, float], None]
"""Called for each response: route template (None: no route), method, status, seconds."""

_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_QUIET = frozenset({"/health", "/ready", "/metrics"})
"""Probes call these every few seconds; their failures have log lines of their own."""
_LOWEST_SERVER_ERROR = 500
_LONGEST_METHOD = 16

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HEADERS_UNLESS_SET = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")

_log = get_logger(__name__)


class RequestMiddleware:
    """Our outermost layer: the request id, the access log and the headers of responses.

    Args:
        app: The inner application.
        observe: Called for every response.
    """

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; log and count its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # HEAD runs as GET; the server drops the body.
        inside = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        response = _Response(send, request_id, is_https=scope.get("scheme") == "https")
        with bound_context(request_id=request_id):
            began = time.perf_counter()
            try:
                await self._app(inside, receive, response.send)
            finally:
                seconds = time.perf_counter() - began
                self._report(scope["method"], inside, response.status, seconds)

    def _report(self, method: str, inside: Scope, status: int | None, seconds: float) -> None:
        if status is None:
            # The request was cancelled; the server logs that.
            return
        route = getattr(inside.get("route"), "path", None)
        if route is not None and inside.get("app_root_path", "") != inside.get("root_path", ""):
            # A mounted application knows its own part of the path alone.
            mounted = inside["root_path"].removeprefix(inside.get("app_root_path", ""))
            route = f"{mounted}{route}"
        self._observe(route, method, status, seconds)
        fields: dict[str, str | int | float] = {
            "method": method[:_LONGEST_METHOD],
            "route": route or "unmatched",
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
        }
        caller = caller_of(inside)
        if caller is not None:
            fields |= {"key_id": str(caller.key_id), "clinic_id": str(caller.clinic_id)}
        if route in _QUIET:
            _log.debug("request_answered", **fields)
        elif status >= _LOWEST_SERVER_ERROR:
            _log.warning("request_answered", **fields)
        else:
            _log.info("request_answered", **fields)


class ResponseAborted(Exception):
    """A response could not be completed; the log has the reason."""


class ErrorBoundary:
    """Turns unexpected exceptions into a 500; their messages are neither sent nor logged.

    Args:
        app: The inner application.
        clock: Returns the present time, aware.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; respond with 500 if it fails."""
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the last resort for any exception
            may_show = isinstance(error, UserFacingError)
            _log.error("request_failed", **described(error, with_message=may_show))
            if has_begun or scope["type"] != "http":
                # The headers are sent: only closing the connection can signal the error.
                raise ResponseAborted from None
            response = error_response(500, INTERNAL_ERROR, now=self._clock())
            await response(scope, receive, send)


class _Response:
    """Sends a response with the common headers added; keeps its status."""

    def __init__(self, send: Send, request_id: str, *, is_https: bool) -> None:
        self._send = send
        self._own = [*_HEADERS, (_REQUEST_ID, request_id.encode())]
        if is_https:
            self._own.append(_HTTPS_ONLY)
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """See ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *self._own]
            names = {name for name, _ in message["headers"]}
            headers += [each for each in _HEADERS_UNLESS_SET if each[0] not in names]
            message = {**message, "headers": headers}
        await self._send(message)


class BodyLimit:
    """Refuses bodies of more than ``MAX_BODY_BYTES``, with or without a Content-Length.

    Args:
        app: The inner application; turns ``ApiError`` into a response.
        clock: Returns the present time, aware.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared[:20]) > MAX_BODY_BYTES:
            response = error_response(413, BODY_TOO_LARGE, now=self._clock())
            await response(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise ApiError(413, BODY_TOO_LARGE)
            return message

        await self._app(scope, limited, send)


def _request_id(scope: Scope) -> str:
    """Return the client's id, if it is one, well-formed and no secret; else a new one."""
    sent = Headers(scope=scope).getlist(REQUEST_ID)
    if len(sent) == 1 and _VALID_ID.fullmatch(sent[0]):
        [sent_id] = sent
        if redact_text(sent_id, phones=False) == sent_id:
            return sent_id
    return str(uuid4())
