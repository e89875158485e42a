"""Logging in: the answer to the form, and the code and terms pages after it.

Who is logged in is kept in ``sessions``, what the pages look like in ``templates/login``, the
shapes of the first one in ``login_pages``, and the pages in front of a session in
``login_steps``. A right password leads to a session cookie and away from ``/login``, unless the
clinic's login mode puts a code, terms or a lock in between.
"""

import secrets
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.answers import held_back, spoilt, wrong_answer
from pims_pipeline.simulator.faults import Fault
from pims_pipeline.simulator.login_pages import form_page, login_page
from pims_pipeline.simulator.rendering import render
from pims_pipeline.simulator.sessions import HELD_MODES, SIMULATED_CODE
from pims_pipeline.simulator.state import Desk, Simulator, simulator_of

SESSION_COOKIE = "neo_session"
VISIT_COOKIE = "neo_visit"
"""Ties the hidden form token to a browser before anyone is logged in."""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; a field sent twice keeps its last value."""
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


async def show_login(request: Request) -> Response:
    """``GET /login``."""
    simulator = await simulator_of(request)
    simulator.requests["login_page"] += 1
    struck = simulator.faults.strike("login", None)
    await held_back(request, struck.delays, simulator.stopping)
    shown = _no_page(request, simulator) or fresh_login_page(request, simulator)
    return _with_fault(struck.answer, shown)


def fresh_login_page(
    request: Request, simulator: Simulator, error: str | None = None, status: int = 200
) -> Response:
    """The login page with a token for this browser's visit."""
    visit = request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(16)
    drawn = login_page(simulator.sessions.login_token(visit), error, simulator.login_page)
    response = HTMLResponse(drawn, status_code=status)
    response.set_cookie(VISIT_COOKIE, visit, httponly=True, samesite="lax")
    if simulator.login_page == "guest":
        response.set_cookie(SESSION_COOKIE, secrets.token_urlsafe(32), httponly=True)
    return response


async def show_inner_form(request: Request) -> Response:
    """``GET /login/form``: the form of a login page that shows it in an inner page."""
    simulator = await simulator_of(request)
    visit = request.cookies.get(VISIT_COOKIE, "")
    return HTMLResponse(form_page(simulator.sessions.login_token(visit), None, "inner_page"))


def _no_page(request: Request, simulator: Simulator) -> Response | None:
    """What is answered in place of a login page, where its shape is none at all."""
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
    struck = simulator.faults.strike("login", company_id)
    await held_back(request, struck.delays, simulator.stopping)
    wrong = wrong_answer(struck.answer) if struck.answer else None
    if wrong is not None:
        return wrong
    return _with_fault(struck.answer, _login_result(request, simulator, company_id, form))


def _with_fault(fault: Fault | None, response: Response) -> Response:
    if fault is None:
        return response
    return wrong_answer(fault) or spoilt(fault, response)


def _login_result(
    request: Request, simulator: Simulator, company_id: str, form: dict[str, str]
) -> Response:
    sessions, username = simulator.sessions, form.get("username", "").strip()
    visit = request.cookies.get(VISIT_COOKIE)
    if visit is None or not sessions.is_login_token(visit, form.get("csrf_token", "")):
        return fresh_login_page(
            request, simulator, "This form is out of date. Please try again.", status=403
        )
    desk = simulator.desks.get(company_id)
    if sessions.is_locked(company_id, username) or (desk and desk.login_mode == "locked"):
        return _locked_page()
    if desk is None or not _is_right(desk, username, form.get("password", "")):
        sessions.note_wrong(company_id, username)
        if sessions.is_locked(company_id, username):
            return _locked_page()
        return fresh_login_page(request, simulator, "Company ID, user name or password is wrong.")
    sessions.note_right(company_id, username)
    if desk.login_mode in {"code", "terms"}:
        sessions.wait_for_step(visit, company_id)
        return RedirectResponse(f"/login/{desk.login_mode}", status_code=302)
    return _logged_in(simulator, desk)


def _is_right(desk: Desk, username: str, password: str) -> bool:
    same_user = secrets.compare_digest(username.encode(), desk.clinic.username.encode())
    return secrets.compare_digest(password.encode(), desk.clinic.password.encode()) and same_user


def _logged_in(simulator: Simulator, desk: Desk) -> Response:
    session = simulator.sessions.open(desk.clinic)
    where = "/"
    if desk.login_mode in HELD_MODES:
        session.held_at = desk.login_mode
        where = f"/welcome/{desk.login_mode}"
    if desk.login_mode == "dead_session":
        session.held_at = desk.login_mode
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
    visit = request.cookies.get(VISIT_COOKIE)
    if simulator.sessions.waiting(visit) is None:
        return RedirectResponse("/login", status_code=302)
    token = simulator.sessions.login_token(visit or "")
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
    visit = request.cookies.get(VISIT_COOKIE) or ""
    company_id = simulator.sessions.waiting(visit)
    if company_id is None or not simulator.sessions.is_login_token(
        visit, form.get("csrf_token", "")
    ):
        return RedirectResponse("/login", status_code=302)
    simulator.sessions.pass_step(visit)
    return _logged_in(simulator, simulator.desks[company_id])


async def log_out(request: Request) -> Response:
    """``POST /logout``: ends the session, where the form's token is right."""
    simulator = await simulator_of(request)
    token = request.cookies.get(SESSION_COOKIE)
    session, form = simulator.sessions.use(token), await read_form(request)
    if session and secrets.compare_digest(
        session.form_token.encode(), form.get("form_token", "").encode()
    ):
        simulator.sessions.end(token)
    return RedirectResponse("/login", status_code=303)
