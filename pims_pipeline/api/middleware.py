"""What every request meets before and after its route: id, log line, headers, limit of its body.

Plain ASGI, one layer for most of it: each layer costs every request. Which errors have which
words stands in ``errors``.
"""

import re
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pims_pipeline.api.access.caller import caller_of
from pims_pipeline.api.errors import BODY_TOO_LARGE, INTERNAL_ERROR, ApiError, error_response
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import bound_context, get_logger
from pims_pipeline.observability.redaction import redact_text

REQUEST_ID = "X-Request-Id"
_REQUEST_ID = REQUEST_ID.lower().encode()
MAX_BODY_BYTES = 64 * 1024

Observer = Callable[[str | None, str, int, float], None]
"""Told of each answer: route template (None: no route), method, status, seconds."""

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_QUIET = frozenset({"/health", "/ready", "/metrics"})
"""Asked every few seconds by machines; what is wrong there is told by a line of its own."""
_LOWEST_SERVER_ERROR = 500
_LONGEST_METHOD = 16
_SHOWN_FRAMES = 12

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HEADERS_UNLESS_SET = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")

_log = get_logger(__name__)


class RequestMiddleware:
    """The outermost layer of ours: each request's id, its log line, the headers of its answer.

    Args:
        app: What is inside.
        observe: Told of every answer.
    """

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # What GET answers without its body, which the server leaves out.
        inside = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        answer = _Answer(send, request_id, is_https=scope.get("scheme") == "https")
        with bound_context(request_id=request_id):
            began = time.perf_counter()
            try:
                await self._app(inside, receive, answer.send)
            finally:
                seconds = time.perf_counter() - began
                self._tell(scope["method"], inside, answer.status, seconds)

    def _tell(self, method: str, inside: Scope, status: int | None, seconds: float) -> None:
        if status is None:
            # Its task was ended; the server tells of that.
            return
        route = getattr(inside.get("route"), "path", None)
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


class BrokenOff(Exception):
    """An answer could not be finished; what happened stands in the log."""


class Faults:
    """Answers a request whose route failed unexpectedly; what it said stays out of everything.

    Args:
        app: What is inside.
        clock: The present moment, aware.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request answered."""
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - whatever it is, its words stay here
            _log.error("request_failed", **_described(error))
            if has_begun or scope["type"] != "http":
                # Only the connection's end can tell.
                raise BrokenOff from None
            response = error_response(500, INTERNAL_ERROR, now=self._clock())
            await response(scope, receive, send)


class _Answer:
    """Passes an answer on, with the headers that all have; remembers its status."""

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
    """Refuses bodies of more than ``MAX_BODY_BYTES``, however they are sent.

    Args:
        app: What is inside, and turns the refusal into an answer.
        clock: The present moment, aware.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse its body."""
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
    """The client's, if it is one and sane; else a new one. A secret is not sane."""
    sent = Headers(scope=scope).getlist(REQUEST_ID)
    if len(sent) == 1 and _SANE_ID.fullmatch(sent[0]):
        [wanted] = sent
        if redact_text(wanted, phones=False) == wanted:
            return wanted
    return str(uuid4())


def _described(error: BaseException) -> dict[str, str]:
    """What failed and where, without the words of errors that may quote what they met."""
    described = {"error": " from ".join(_kinds(error)), "where": _frames(error)}
    if isinstance(error, UserFacingError):
        described["reason"] = str(error)
    return described


def _kinds(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


def _frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_SHOWN_FRAMES:]
    return " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
