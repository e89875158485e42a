"""Pages that stand between a right password and the calendar, for a person to answer once.

The session is there, and the vendor answers nothing within it until the page is passed. A
person who passes it has settled it: the next login meets no such page.
"""

import html
import secrets
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.state import simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import SESSION_COOKIE, read_form
from pims_pipeline.simulator.vendors.idexx_neo.login_pages import page
from pims_pipeline.simulator.vendors.idexx_neo.sessions import LoginMode


@dataclass(frozen=True, slots=True)
class Step:
    """One such page."""

    title: str
    fields: str


STEPS: dict[LoginMode, Step] = {
    "location": Step(
        "Choose your location",
        '<label><input type="radio" name="location" value="1" checked> Riverbend North</label>'
        '<label><input type="radio" name="location" value="2"> Riverbend South</label>'
        '<button type="submit">Continue</button>',
    ),
    "password_expired": Step(
        "Your password has expired",
        '<label>New password<input type="password" name="new"></label>'
        '<label>Once more<input type="password" name="again"></label>'
        '<button type="submit">Change password</button>',
    ),
    "device": Step(
        "Remember this device?",
        '<p>You signed in on a new device.</p><button type="submit">Remember it</button>',
    ),
    "news": Step(
        "Good morning, Sam Booker",
        "<p>Biscuit's owner, Ana Okafor of 12 Mill Lane, left a note.</p>"
        '<button type="submit">Take me to it</button>',
    ),
    "robot": Step(
        "One more thing",
        '<div class="h-captcha" style="width:300px;height:78px">I am human</div>'
        '<button type="submit">Continue</button>',
    ),
    "closed": Step(
        "Scheduled maintenance",
        '<p>We will be back shortly.</p><button type="submit">Try again</button>',
    ),
}
"""By the login mode that leads to it; its address is ``/welcome/`` and the same word."""


async def show_step(request: Request) -> Response:
    """``GET /welcome/{step}``."""
    simulator = await simulator_of(request)
    session = simulator.sessions.use(request.cookies.get(SESSION_COOKIE))
    step = STEPS.get(session.held_at or "normal") if session else None
    if session is None or step is None:
        return RedirectResponse("/", status_code=302)
    hidden = f'<input type="hidden" name="form_token" value="{html.escape(session.form_token)}">'
    return HTMLResponse(page(step.title, f'<form method="post">{hidden}{step.fields}</form>'))


async def pass_step(request: Request) -> Response:
    """``POST /welcome/{step}``: a person has answered."""
    simulator = await simulator_of(request)
    session = simulator.sessions.use(request.cookies.get(SESSION_COOKIE))
    token = (await read_form(request)).get("form_token", "")
    if session is None or not secrets.compare_digest(session.form_token.encode(), token.encode()):
        return RedirectResponse("/login", status_code=303)
    session.held_at = None
    simulator.practices[session.company_id].login_mode = "normal"
    return RedirectResponse("/", status_code=303)
