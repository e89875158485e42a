"""An ASGI application that protects a server without a password against foreign web pages.

``refusal_of`` decides by headers that no page can forge. Which addresses are ours belongs in
``origins``. Programs on this machine send neither ``Origin`` nor ``Sec-Fetch-Site`` and are not
refused: they can read our files anyway.
"""

from urllib.parse import parse_qs

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pims_pipeline.local_trust.origins import OwnAddresses, Refusal, refuse_foreign

_READING = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for a page of this server and for a person (address bar, bookmark)."""
_GRAPHQL = "graphql"
_MAX_TOKENS = 2_000
_FOREIGN_PAGE = Refusal(
    403,
    "A page of another server sent this request. Open the Dagster UI itself to do what it asks.",
)
_NO_ORIGIN = Refusal(403, "A WebSocket needs the header Origin, with an address of this server.")
_NOT_JSON = Refusal(415, "Send it as JSON: with the header Content-Type: application/json.")
_MUTATION_BY_GET = Refusal(
    405, "GET runs queries alone. Send mutations by POST, with Content-Type: application/json."
)
_NO_QUERY = Refusal(400, "The parameter query is not one GraphQL document.")
_METHOD_NOT_ALLOWED = Refusal(405, "This server knows GET, HEAD and POST alone.")

_HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),
    # In addition to the page's own policy: a browser enforces both.
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_CONTENT_TYPE_OPTIONS = (b"x-content-type-options", b"nosniff")
_CORS = b"access-control-"


class BrowserGuard:
    """Refuses the requests of foreign pages, and passes all others to ``app``.

    Args:
        app: The protected application.
        own: Its addresses.
    """

    def __init__(self, app: ASGIApp, own: OwnAddresses) -> None:
        self._app = app
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = refusal_of(scope, self._own)
        if refusal is None:
            await self._app(scope, receive, _with_isolation_headers(send))
        elif scope["type"] == "websocket":
            # Closed before it is accepted, so the server responds with 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            response = PlainTextResponse(f"{refusal.reason}\n", status_code=refusal.status)
            await response(scope, receive, _with_isolation_headers(send))


def refusal_of(scope: Scope, own: OwnAddresses) -> Refusal | None:
    """Why a request is refused; None if it is not.

    Args:
        scope: The ASGI scope of the request or WebSocket.
        own: The server's addresses.
    """
    headers = Headers(scope=scope)
    origins = headers.getlist("origin")
    refusal = refuse_foreign(own, headers.getlist("host"), origins)
    if refusal is not None:
        return refusal
    if scope["type"] == "websocket":
        # A browser always sends Origin, and only browsers open a WebSocket here.
        return None if origins else _NO_ORIGIN
    method = scope["method"]
    if not _is_own_site(scope, headers):
        return _FOREIGN_PAGE
    if method == "POST":
        return None if _is_json(headers) else _NOT_JSON
    if method not in _READING:
        return _METHOD_NOT_ALLOWED
    return _refusal_of_reading(scope)


def _is_own_site(scope: Scope, headers: Headers) -> bool:
    """Whether a page of ours or a person sent it; navigation by a link from any page counts."""
    site = headers.get("sec-fetch-site")
    if site is None or site in _OWN_SITES:
        return True
    return (
        scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and not _is_graphql(scope)
    )


def _is_graphql(scope: Scope) -> bool:
    # Every variant that a router may accept: a further slash or line end, another case.
    return _GRAPHQL in scope["path"].lower()


def _is_json(headers: Headers) -> bool:
    # Only the essence counts: browsers send "text/plain; application/json" without a preflight.
    types = headers.getlist("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == "application/json"


def _refusal_of_reading(scope: Scope) -> Refusal | None:
    if not _is_graphql(scope):
        return None
    parameters = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    documents = parameters.get("query", [])
    if not documents:
        return None
    if len(documents) > 1:
        return _NO_QUERY
    try:
        parsed = parse(documents[0], no_location=True, max_tokens=_MAX_TOKENS)
    except (GraphQLError, RecursionError):
        return _NO_QUERY
    # All operations, because the parameter operationName may choose any of them.
    if all(
        node.operation is OperationType.QUERY
        for node in parsed.definitions
        if isinstance(node, OperationDefinitionNode)
    ):
        return None
    return _MUTATION_BY_GET


def _with_isolation_headers(send: Send) -> Send:
    """``send``, adding the headers that stop foreign pages from framing or reading a response."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if not name.lower().startswith(_CORS)
            ]
            names = {name.lower() for name, _ in headers}
            if _CONTENT_TYPE_OPTIONS[0] not in names:
                headers.append(_CONTENT_TYPE_OPTIONS)
            message = {**message, "headers": [*headers, *_HEADERS]}
        await send(message)

    return sending
