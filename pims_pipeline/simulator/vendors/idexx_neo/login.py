"""Logging in: what the form leads to, and the code and terms pages after it.

Sessions are kept in ``sessions``. ``templates/login`` holds the pages, ``login_pages`` the shapes
of the first one, ``login_steps`` the pages in front of a session. A right password leads to a
session cookie and away from ``/login``, unless the clinic's login mode puts a code, terms or a
lock in between.
"""

import secrets

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.faults import Fault
from pims_pipeline.simulator.forms import read_form
from pims_pipeline.simulator.rendering import render
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login_pages import form_page, login_page
from pims_pipeline.simulator.vendors.idexx_neo.oddities import oddly_described
from pims_pipeline.simulator.vendors.idexx_neo.sessions import HELD_MODES, SIMULATED_CODE
from pims_pipeline.simulator.vendors.responses import apply_fault, delay_response, fault_response

SESSION_COOKIE = "neo_session"
BROWSER_COOKIE = "neo_browser"
"""Ties the hidden form token to a browser before anyone is logged in."""


async def show_login(request: Request) -> Response:
    """``GET /login``."""
    simulator = await simulator_of(request)
    simulator.requests["login_page"] += 1
    faults = simulator.faults.take("login", None)
    await delay_response(request, faults.delays, simulator.stopping)
    shown = _no_page(request, simulator) or fresh_login_page(request, simulator)
    return _faulty(faults.response, shown)


def fresh_login_page(
    request: Request, simulator: Simulator, error: str | None = None, status: int = 200
) -> Response:
    """The login page, with a form token for this browser."""
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(16)
    drawn = login_page(simulator.sessions.login_token(browser), error, simulator.login_page)
    response = HTMLResponse(drawn, status_code=status)
    response.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="lax")
    if simulator.login_page == "guest":
        response.set_cookie(SESSION_COOKIE, secrets.token_urlsafe(32), httponly=True)
    return response


async def show_inner_form(request: Request) -> Response:
    """``GET /login/form``: the form of a login page that shows it in an inner page."""
    simulator = await simulator_of(request)
    browser = request.cookies.get(BROWSER_COOKIE, "")
    return HTMLResponse(form_page(simulator.sessions.login_token(browser), None, "inner_page"))


def _no_page(request: Request, simulator: Simulator) -> Response | None:
    """The response in place of a login page, where the chosen shape has no page."""
    match simulator.login_page:
        case "elsewhere":
            other = "localhost" if request.url.hostname != "localhost" else "127.0.0.1"
            return RedirectResponse(str(request.url.replace(hostname=other, path="/sso")))
        case "file":
            headers = {"Content-Disposition": "attachment; filename=login.bin"}
            return Response(b"\0", media_type="application/octet-stream", headers=headers)
        case "basic_auth":
            headers = {"WWW-Authenticate": 'Basic realm="Neo"'}
            return HTMLResponse("Unauthorized", status_code=401, headers=headers)
        case _:
            return None


async def show_sign_on(_request: Request) -> Response:
    """``GET /sso``: another site's login page, which asks for a password as well."""
    return HTMLResponse(form_page("", None, "plain"))


async def take_login(request: Request) -> Response:
    """``POST /login``."""
    simulator = await simulator_of(request)
    simulator.requests["login_post"] += 1
    form = await read_form(request)
    company_id = form.get("company_id", "").strip()
    faults = simulator.faults.take("login", company_id)
    await delay_response(request, faults.delays, simulator.stopping)
    instead = fault_response(faults.response) if faults.response else None
    if instead is not None:
        return instead
    return _faulty(faults.response, _login_result(request, simulator, company_id, form))


def _faulty(fault: Fault | None, response: Response) -> Response:
    if fault is None:
        return response
    return fault_response(fault) or apply_fault(fault, response, oddly_described)


def _login_result(
    request: Request, simulator: Simulator, company_id: str, form: dict[str, str]
) -> Response:
    sessions, username = simulator.sessions, form.get("username", "").strip()
    browser = request.cookies.get(BROWSER_COOKIE)
    if browser is None or not sessions.is_login_token(browser, form.get("csrf_token", "")):
        return fresh_login_page(
            request, simulator, "This form is out of date. Please try again.", status=403
        )
    practice = simulator.practice_of("idexx_neo", company_id)
    if sessions.is_locked(company_id, username) or (practice and practice.login_mode == "locked"):
        return _locked_page()
    if practice is None or not _is_right(practice, username, form.get("password", "")):
        sessions.note_wrong(company_id, username)
        if sessions.is_locked(company_id, username):
            return _locked_page()
        return fresh_login_page(request, simulator, "Company ID, user name or password is wrong.")
    sessions.note_right(company_id, username)
    if practice.login_mode in {"code", "terms"}:
        sessions.wait_for_step(browser, company_id)
        return RedirectResponse(f"/login/{practice.login_mode}", status_code=302)
    return _logged_in(simulator, practice)


def _is_right(practice: Practice, username: str, password: str) -> bool:
    same_user = secrets.compare_digest(username.encode(), practice.clinic.username.encode())
    return (
        secrets.compare_digest(password.encode(), practice.clinic.password.encode()) and same_user
    )


def _logged_in(simulator: Simulator, practice: Practice) -> Response:
    session = simulator.sessions.open(practice.clinic)
    where = "/"
    if practice.login_mode in HELD_MODES:
        session.held_at = practice.login_mode
        where = f"/welcome/{practice.login_mode}"
    if practice.login_mode == "dead_session":
        session.held_at = practice.login_mode
    response = RedirectResponse(where, status_code=302)
    response.set_cookie(SESSION_COOKIE, session.token, httponly=True, samesite="lax")
    return response


def _locked_page() -> Response:
    return HTMLResponse(render("login/locked.html", error=None))


async def show_code(request: Request) -> Response:
    """``GET /login/code``: asks for the one-time code after a right password."""
    return await _step_page(request, "code")


async def show_terms(request: Request) -> Response:
    """``GET /login/terms``: asks to accept the terms after a right password."""
    return await _step_page(request, "terms")


async def _step_page(request: Request, step: str, error: str | None = None) -> Response:
    simulator = await simulator_of(request)
    browser = request.cookies.get(BROWSER_COOKIE)
    if simulator.sessions.waiting(browser) is None:
        return RedirectResponse("/login", status_code=302)
    token = simulator.sessions.login_token(browser or "")
    return HTMLResponse(render(f"login/{step}.html", token=token, error=error))


async def take_code(request: Request) -> Response:
    """``POST /login/code``."""
    form = await read_form(request)
    if form.get("code", "").strip() == SIMULATED_CODE:
        return await _pass_step(request, form)
    return await _step_page(request, "code", "That code is wrong.")


async def take_terms(request: Request) -> Response:
    """``POST /login/terms``."""
    form = await read_form(request)
    if form.get("accept_terms"):
        return await _pass_step(request, form)
    return await _step_page(request, "terms", "Please accept the terms to go on.")


async def _pass_step(request: Request, form: dict[str, str]) -> Response:
    simulator = await simulator_of(request)
    browser = request.cookies.get(BROWSER_COOKIE) or ""
    company_id = simulator.sessions.waiting(browser)
    if company_id is None or not simulator.sessions.is_login_token(
        browser, form.get("csrf_token", "")
    ):
        return RedirectResponse("/login", status_code=302)
    simulator.sessions.pass_step(browser)
    return _logged_in(simulator, simulator.practices[company_id])
