"""How the vendor refuses a request without a live session, and the faults that end one.

Faults that every vendor has belong in ``vendors.responses``.
"""

from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from pims_pipeline.simulator.faults import Fault, FaultKind
from pims_pipeline.simulator.vendors.idexx_neo.sessions import ExpiredMode

_EXPIRED: dict[FaultKind, ExpiredMode] = {
    FaultKind.SESSION_EXPIRED_REDIRECT: "redirect",
    FaultKind.SESSION_EXPIRED_401: "401",
    FaultKind.SESSION_EXPIRED_HTML: "html",
}


def expired_mode_of(fault: Fault | None) -> ExpiredMode | None:
    """How the fault ends the session, if it does."""
    return _EXPIRED.get(fault.kind) if fault else None


def without_session(mode: ExpiredMode, login_page: str) -> Response:
    """The response to a request without a live session, in one of the vendor's three ways."""
    if mode == "401":
        return JSONResponse({"error": "Unauthenticated."}, status_code=401)
    if mode == "html":
        return HTMLResponse(login_page)
    return RedirectResponse("/login", status_code=302)
