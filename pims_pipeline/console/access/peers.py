"""The address of the connection itself, noted before anything replaces it.

An identity proxy is trusted by it. ``X-Forwarded-For`` replaces the client's address, for limits
and logs, and anyone may send that header.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_PEER = "pims.peer"


class PeerNote:
    """Notes the peer of each request; must be the outermost layer.

    Args:
        app: The inner application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            client = scope.get("client")
            scope = {**scope, _PEER: client[0] if client else None}
        await self._app(scope, receive, send)


def peer_of(request: Request) -> str | None:
    """The address of the connection; None if it was not noted, or is no network connection."""
    peer: str | None = request.scope.get(_PEER)
    return peer


def client_of(request: Request) -> str:
    """The client's address as limits and the log have it."""
    return request.client.host if request.client else ""
