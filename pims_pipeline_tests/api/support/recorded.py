"""Records the responses of an application, and checks the rules that all of them follow."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_INTERNALS = re.compile(
    r"""
    Traceback | File\ " | \.py\b | site-packages | \bat\ 0x[0-9a-f]+        # a stack trace
    | \bSELECT\b | \bINSERT\ INTO\b | \bDELETE\ FROM\b | relation\ "        # SQL
    | sqlalchemy | psycopg | pydantic | row-level\ security
    | postgresql:// | [a-z]+://[^/\s]*@                                     # a host, a login
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A response with its request.

    Attributes:
        route: The path template of the OpenAPI document; None without a route.
        sent: The request's headers.
    """

    method: str
    path: str
    route: str | None
    sent: Mapping[str, str]
    status: int
    headers: Headers
    text: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status} {self.text[:300]}"


def faults(response: RecordedResponse, secrets: Iterable[str]) -> Iterator[str]:
    """Yield the rules that the response breaks.

    Args:
        response: The response to any request.
        secrets: Strings that no response may contain.
    """
    headers = response.headers
    if not _VALID_ID.fullmatch(",".join(headers.getlist("X-Request-Id"))):
        yield "it does not have one request id"
    if "server" in headers or "x-powered-by" in headers:
        yield "it names the server software"
    if headers.get("X-Content-Type-Options") != "nosniff" or "Cache-Control" not in headers:
        yield "it lacks security headers"
    whole = "\n".join((response.text, *(f"{name}: {value}" for name, value in headers.items())))
    if found := _INTERNALS.search(whole):
        yield f"it shows internals: {found[0]!r}"
    if any(each in whole for each in secrets):
        yield "it shows a secret or a host"
    # /ready has a body of its own.
    if response.status >= 400 and response.path != "/ready" and not _is_envelope(response):
        yield "its body is not the error envelope"


def _is_envelope(response: RecordedResponse) -> bool:
    if response.headers.get("Content-Type") != "application/json":
        return False
    body = json.loads(response.text)
    return bool(
        isinstance(body, dict)
        and body.keys() == {"success", "error", "timestamp"}
        and body["success"] is False
        and isinstance(body["error"], str)
        and body["error"].strip()
        and _TIME.fullmatch(body["timestamp"])
    )


class ResponseRecorder:
    """The outermost layer of an application, which records its responses.

    Args:
        app: The inner application.
        recorded: The list to append to.
    """

    def __init__(self, app: ASGIApp, recorded: list[RecordedResponse]) -> None:
        self._app = app
        self._heard = recorded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """RecordedResponse the request."""
        status, headers, body = 0, Headers(), b""

        async def listening(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], Headers(raw=message["headers"])
            body += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, listening)
        self._heard.append(
            RecordedResponse(
                method=scope["method"],
                path=scope["path"],
                route=getattr(scope.get("route"), "path", None),
                sent=Headers(scope=scope),
                status=status,
                headers=headers,
                text=body.decode(),
            )
        )
