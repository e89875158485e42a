"""Which callers the simulator accepts: programs on this machine, and its own pages.

Its passwords are public and its control interface has none, and any web page can make a browser
send requests to this machine. So a request must name this machine in ``Host``, which a page
cannot choose, and must not come from a page of another server (``Origin``). The control interface
accepts JSON only, which a page of another server cannot send without a preflight request.
"""

import ipaddress
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_CONTROL = "/_control"
_OWN_SITES = frozenset({"same-origin", "none"})
_READING = frozenset({"GET", "HEAD"})
_NOT_THIS_MACHINE = (
    "the header Host does not name this machine: use the address that the simulator printed"
)
_FOREIGN_PAGE = "a page of another server sent this request: open the simulator's own pages"
_WANTS_JSON = "send it as JSON: with the header Content-Type: application/json"


class OwnCallers:
    """Middleware that refuses requests which pages of other servers make a browser send.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        refused = _refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
            return
        status, reason = refused
        response = JSONResponse({"error": reason}, status_code=status)
        await response(scope, receive, send)


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """Status and reason, if the request is refused."""
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not _is_this_machine(hosts[0]):
        return 421, _NOT_THIS_MACHINE
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        return 403, _FOREIGN_PAGE
    if scope["method"] in _READING:
        return None
    if headers.get("sec-fetch-site", "none") not in _OWN_SITES:
        return 403, _FOREIGN_PAGE
    if scope["method"] == "POST" and scope["path"].startswith(_CONTROL):
        essence = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if essence == "application/json" else (415, _WANTS_JSON)
    return None


def _is_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
