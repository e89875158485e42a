"""Logging in: the page drawn by script, the answer to its form, and the further pages.

Who is logged in is kept in ``sessions``. A right password leads to a session cookie and away
from ``/login``, unless the clinic's login mode puts a code, terms or a lock in between.
"""

import html
import secrets
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.answers import held_back, spoilt, wrong_answer
from pims_pipeline.simulator.faults import Fault
from pims_pipeline.simulator.sessions import SIMULATED_CODE
from pims_pipeline.simulator.state import Desk, Simulator, simulator_of

SESSION_COOKIE = "neo_session"
VISIT_COOKIE = "neo_visit"
"""Ties the hidden form token to a browser before anyone is logged in."""

_STYLE = """
:root { color-scheme: light; font-family: system-ui, sans-serif; }
body { background: #eef3f5; color: #16303b; margin: 0; display: grid; place-items: center;
  min-height: 100vh; }
main { background: #fff; padding: 2rem 2.5rem; border-radius: .75rem; width: 20rem;
  box-shadow: 0 2px 16px #0b2a3622; }
h1 { font-size: 1.25rem; margin: 0 0 1rem; }
label { display: block; margin: .75rem 0 .25rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit;
  border: 1px solid #6d8793; border-radius: .375rem; }
input[type=checkbox] { width: auto; }
button { margin-top: 1.25rem; width: 100%; padding: .6rem; font: inherit; font-weight: 600;
  color: #fff; background: #0b6075; border: 0; border-radius: .375rem; cursor: pointer; }
:focus-visible { outline: 3px solid #e0a100; outline-offset: 2px; }
.error-message { color: #8c1c13; background: #fdecea; padding: .5rem .75rem;
  border-radius: .375rem; }
"""

_DRAW_FORM = """
const root = document.getElementById('login-root');
const field = (name, label, type, autocomplete) => {
  const tag = document.createElement('label');
  tag.htmlFor = 'login-' + name;
  tag.textContent = label;
  const input = document.createElement('input');
  Object.assign(input, {id: 'login-' + name, name, type, autocomplete, required: true});
  return [tag, input];
};
const draw = () => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/login';
  form.append(
    ...field('company_id', 'Company ID', 'text', 'organization'),
    ...field('username', 'User name', 'text', 'username'),
    ...field('password', 'Password', 'password', 'current-password'));
  const token = document.createElement('input');
  Object.assign(token, {type: 'hidden', name: 'csrf_token', value: root.dataset.token});
  const submit = document.createElement('button');
  Object.assign(submit, {type: 'submit', textContent: 'Sign in'});
  form.append(token, submit);
  root.replaceChildren(form);
};
window.addEventListener('load', () => setTimeout(draw, 120));
"""


_CODE_FIELDS = (
    '<label for="code">The code sent to your phone</label><input id="code" name="code" '
    'inputmode="numeric" autocomplete="one-time-code" required>'
    '<button type="submit">Continue</button>'
)
_TERMS_FIELDS = (
    "<p>Our terms of service have changed.</p><label><input type='checkbox' "
    "name='accept_terms' value='1' required> I accept the terms</label>"
    '<button type="submit">Accept and continue</button>'
)


def login_page(token: str, error: str | None = None) -> str:
    """The login page; its form appears only once its script has run."""
    message = f'<p class="error-message" role="alert">{html.escape(error)}</p>' if error else ""
    return _page(
        "Sign in",
        f'{message}<div id="login-root" data-token="{html.escape(token)}">'
        f"<noscript>Signing in needs JavaScript.</noscript></div><script>{_DRAW_FORM}</script>",
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - Neo simulator'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )


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
    return _with_fault(struck.answer, fresh_login_page(request, simulator))


def fresh_login_page(
    request: Request, simulator: Simulator, error: str | None = None, status: int = 200
) -> Response:
    """The login page with a token for this browser's visit."""
    visit = request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(16)
    page = login_page(simulator.sessions.login_token(visit), error)
    response = HTMLResponse(page, status_code=status)
    response.set_cookie(VISIT_COOKIE, visit, httponly=True, samesite="lax")
    return response


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
    response = RedirectResponse("/", status_code=302)
    response.set_cookie(SESSION_COOKIE, session.token, httponly=True, samesite="lax")
    return response


def _locked_page() -> Response:
    body = "<p role='alert'>This account is locked. Please ask your administrator.</p>"
    return HTMLResponse(_page("Account locked", body), status_code=200)


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
    token = html.escape(simulator.sessions.login_token(visit or ""))
    message = f'<p class="error-message" role="alert">{html.escape(error)}</p>' if error else ""
    hidden = f'<input type="hidden" name="csrf_token" value="{token}">'
    if step == "code":
        title, fields = "Enter your code", _CODE_FIELDS
    else:
        title, fields = "Terms of service", _TERMS_FIELDS
    form = f'{message}<form method="post" action="/login/{step}">{hidden}{fields}</form>'
    return HTMLResponse(_page(title, form))


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
