"""Pages between a right password and the calendar, which a person must pass once.

The session exists, but the JSON endpoints refuse it until the page is passed. The next login
has no such page.
"""

import secrets

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.forms import read_form
from pims_pipeline.simulator.rendering import render
from pims_pipeline.simulator.state import simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import SESSION_COOKIE
from pims_pipeline.simulator.vendors.idexx_neo.sessions import HELD_MODES


async def show_step(request: Request) -> Response:
    """``GET /welcome/{step}``."""
    simulator = await simulator_of(request)
    session = simulator.sessions.use(request.cookies.get(SESSION_COOKIE))
    if session is None or session.held_at not in HELD_MODES:
        return RedirectResponse("/", status_code=302)
    page = render(f"login/{session.held_at}.html", error=None, token=session.form_token)
    return HTMLResponse(page)


async def pass_step(request: Request) -> Response:
    """``POST /welcome/{step}``: pass the page."""
    simulator = await simulator_of(request)
    session = simulator.sessions.use(request.cookies.get(SESSION_COOKIE))
    token = (await read_form(request)).get("form_token", "")
    if session is None or not secrets.compare_digest(session.form_token.encode(), token.encode()):
        return RedirectResponse("/login", status_code=303)
    session.held_at = None
    simulator.practices[session.company_id].login_mode = "normal"
    return RedirectResponse("/", status_code=303)
