"""Signing in to the calendar page of a clinic whose vendor has no login page, and signing out.

The session opens the calendar page only: Vetspire's requests carry a key. The login page of IDEXX
Neo, which an adapter must pass too, belongs to that vendor.
"""

import secrets

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.forms import read_form
from pims_pipeline.simulator.practice.clinics import VETSPIRE_SIGN_IN, Vendor
from pims_pipeline.simulator.rendering import render
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import BROWSER_COOKIE, SESSION_COOKIE

_PATHS: dict[Vendor, str] = {"idexx_neo": "/login", "vetspire": VETSPIRE_SIGN_IN}


def sign_in_path(simulator: Simulator) -> str:
    """Where a person without a session begins: the login of the first clinic's vendor."""
    return _PATHS[next(iter(simulator.practices.values())).clinic.vendor]


async def show_sign_in(request: Request) -> Response:
    """``GET /vetspire/login``."""
    return _page(request, await simulator_of(request))


def _page(request: Request, simulator: Simulator, error: str | None = None) -> Response:
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(16)
    token = simulator.sessions.login_token(browser)
    page = render("sign_in.html", action=VETSPIRE_SIGN_IN, token=token, error=error)
    response = HTMLResponse(page, status_code=403 if error else 200)
    response.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="lax")
    return response


async def take_sign_in(request: Request) -> Response:
    """``POST /vetspire/login``: leads to the calendar page."""
    simulator = await simulator_of(request)
    form = await read_form(request)
    sessions, browser = simulator.sessions, request.cookies.get(BROWSER_COOKIE)
    if not sessions.is_login_token(browser, form.get("csrf_token", "")):
        return _page(request, simulator, "This form is out of date. Please try again.")
    location, username = form.get("location_id", "").strip(), form.get("username", "").strip()
    practice = simulator.practice_of("vetspire", location)
    if sessions.is_locked(location, username):
        return _page(request, simulator, "This account is locked.")
    if practice is None or not _is_right(practice, username, form.get("password", "")):
        sessions.note_wrong(location, username)
        return _page(request, simulator, "Location id, user name or password is wrong.")
    sessions.note_right(location, username)
    session = sessions.open(practice.clinic)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(SESSION_COOKIE, session.token, httponly=True, samesite="lax")
    return response


def _is_right(practice: Practice, username: str, password: str) -> bool:
    given, known = (username, password), (practice.clinic.username, practice.clinic.password)
    return all(
        secrets.compare_digest(one.encode(), other.encode())
        for one, other in zip(given, known, strict=True)
    )


async def sign_out(request: Request) -> Response:
    """``POST /logout``: ends the session, where the form's token is right."""
    simulator = await simulator_of(request)
    token = request.cookies.get(SESSION_COOKIE)
    session, form = simulator.sessions.use(token), await read_form(request)
    if session is None:
        return RedirectResponse(sign_in_path(simulator), status_code=303)
    if secrets.compare_digest(session.form_token.encode(), form.get("form_token", "").encode()):
        simulator.sessions.end(token)
    vendor = simulator.practices[session.company_id].clinic.vendor
    return RedirectResponse(_PATHS[vendor], status_code=303)
