"""What every answer of the API keeps to, whatever it was asked; and who hears them all."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_INSIDES = re.compile(
    r"""
    Traceback | File\ " | \.py\b | site-packages | \bat\ 0x[0-9a-f]+        # a stack trace
    | \bSELECT\b | \bINSERT\ INTO\b | \bDELETE\ FROM\b | relation\ "        # SQL
    | sqlalchemy | psycopg | pydantic | row-level\ security
    | postgresql:// | [a-z]+://[^/\s]*@                                     # a host, a login
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and what was asked.

    Attributes:
        route: The path's template in the OpenAPI document; None when it has none.
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


def faults(answer: Answer, unspeakable: Iterable[str]) -> Iterator[str]:
    """What is wrong with an answer, apart from what it says.

    Args:
        answer: To anything.
        unspeakable: Strings that no answer may show.
    """
    headers = answer.headers
    if not _SANE_ID.fullmatch(",".join(headers.getlist("X-Request-Id"))):
        yield "it has not one request id"
    if "server" in headers or "x-powered-by" in headers:
        yield "it tells what serves it"
    if headers.get("X-Content-Type-Options") != "nosniff" or "Cache-Control" not in headers:
        yield "it lacks headers of safety"
    whole = "\n".join((answer.text, *(f"{name}: {value}" for name, value in headers.items())))
    if found := _INSIDES.search(whole):
        yield f"it shows its insides: {found[0]!r}"
    if any(each in whole for each in unspeakable):
        yield "it shows a secret or a host"
    # What is not ready is told check by check.
    if answer.status >= 400 and answer.path != "/ready" and not _is_envelope(answer):
        yield "its body is not the one that errors have"


def _is_envelope(answer: Answer) -> bool:
    if answer.headers.get("Content-Type") != "application/json":
        return False
    body = json.loads(answer.text)
    return bool(
        isinstance(body, dict)
        and body.keys() == {"success", "error", "timestamp"}
        and body["success"] is False
        and isinstance(body["error"], str)
        and body["error"].strip()
        and _MOMENT.fullmatch(body["timestamp"])
    )


class Listener:
    """The outermost layer of an application, which keeps what it answers.

    Args:
        app: What is inside.
        heard: Where answers are kept.
    """

    def __init__(self, app: ASGIApp, heard: list[Answer]) -> None:
        self._app = app
        self._heard = heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        status, headers, body = 0, Headers(), b""

        async def listening(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], Headers(raw=message["headers"])
            body += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, listening)
        self._heard.append(
            Answer(
                method=scope["method"],
                path=scope["path"],
                route=getattr(scope.get("route"), "path", None),
                sent=Headers(scope=scope),
                status=status,
                headers=headers,
                text=body.decode(),
            )
        )
