"""The calendar page: one day, with forms to book, check in, move, cancel, delete and finish.

It is the same for every vendor, but shows a status in the words of the clinic's own.
Server-rendered, without script or anything from elsewhere, from ``templates/calendar``.
Every value is escaped, and every form carries the session's token. What an edit means belongs in
``calendar``, how an entry is shown in ``calendar_rows``.
"""

import secrets
from collections.abc import Callable
from datetime import date, datetime, timedelta

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.forms import read_form
from pims_pipeline.simulator.people.calendar_rows import Row
from pims_pipeline.simulator.people.sign_in import sign_in_path
from pims_pipeline.simulator.practice.calendar import Booking, Calendar, EditRefused, UnknownEntry
from pims_pipeline.simulator.practice.clinics import VENDOR_NAMES
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.rendering import render
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import SESSION_COOKIE
from pims_pipeline.simulator.vendors.idexx_neo.sessions import HELD_MODES, Session

_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'"
)


async def show_calendar(request: Request) -> Response:
    """``GET /?date=YYYY-MM-DD``: the day's calendar, or a redirect to the login page."""
    simulator = await simulator_of(request)
    session = _session(request, simulator)
    if session is None:
        return RedirectResponse(sign_in_path(simulator), status_code=302)
    if session.held_at in HELD_MODES:
        return RedirectResponse(f"/welcome/{session.held_at}", status_code=302)
    practice = simulator.practices[session.company_id]
    day = _date(request.query_params.get("date")) or practice.calendar.today
    return _calendar_page(practice, session, day)


def _session(request: Request, simulator: Simulator) -> Session | None:
    return simulator.sessions.use(request.cookies.get(SESSION_COOKIE))


def _date(text: str | None) -> date | None:
    """A date whose neighbours are dates too, or ``None``."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if date.min < day < date.max else None


async def take_booking(request: Request) -> Response:
    """``POST /calendar/book``."""
    return await _edit(request, None, "book")


async def take_edit(request: Request) -> Response:
    """``POST /calendar/{id}/{action}``."""
    entry_id = str(request.path_params["entry_id"])
    number = int(entry_id) if entry_id.isdecimal() else 0
    return await _edit(request, number, str(request.path_params["action"]))


async def _edit(request: Request, entry_id: int | None, action: str) -> Response:
    simulator = await simulator_of(request)
    session = _session(request, simulator)
    if session is None:
        return RedirectResponse(sign_in_path(simulator), status_code=303)
    form = await read_form(request)
    practice = simulator.practices[session.company_id]
    day = _date(form.get("date")) or practice.calendar.today
    if not secrets.compare_digest(session.form_token.encode(), form.get("form_token", "").encode()):
        return _calendar_page(
            practice, session, day, "This form is out of date. Please try again.", 403
        )
    try:
        entry = _apply(practice.calendar, entry_id, action, form)
    except (EditRefused, UnknownEntry) as error:
        return _calendar_page(practice, session, day, str(error), 400)
    target = entry.start.date() if action in {"book", "move"} else day
    return RedirectResponse(f"/?date={target.isoformat()}#appointment-{entry.id}", status_code=303)


def _apply(calendar: Calendar, entry_id: int | None, action: str, form: dict[str, str]) -> Entry:
    if entry_id is None:
        return calendar.book(_booking(form))
    edits: dict[str, Callable[[], Entry]] = {
        "move": lambda: calendar.move(entry_id, _form_time(form)),
        "check-in": lambda: calendar.check_in(entry_id),
        "cancel": lambda: calendar.cancel(entry_id),
        "delete": lambda: calendar.delete(entry_id),
        "restore": lambda: calendar.restore(entry_id),
        "finish": lambda: calendar.finish(entry_id, form.get("notes") or None),
        "notes": lambda: calendar.write_notes(entry_id, form.get("notes", "")),
    }
    if action not in edits:
        raise EditRefused("there is no such edit")
    return edits[action]()


def _form_time(form: dict[str, str]) -> datetime:
    try:
        start = datetime.fromisoformat(form.get("start", ""))
    except ValueError as error:
        raise EditRefused("please give a date and a time") from error
    if start.tzinfo is not None or _date(start.date().isoformat()) is None:
        raise EditRefused("please give a local date and time")
    return start


def _booking(form: dict[str, str]) -> Booking:
    minutes = form.get("minutes", "")
    if not minutes.isdecimal() or not 1 <= int(minutes) <= 24 * 60:
        raise EditRefused("please give a length of 1 to 1440 minutes")
    patient = form.get("patient", "").strip()
    if not patient:
        raise EditRefused("please give the animal's name")
    return Booking(
        start=_form_time(form),
        minutes=int(minutes),
        patient_name=patient,
        client_name=form.get("client", "").strip() or "Sam Booker",
        type=form.get("type", "").strip() or None,
        species=form.get("species", "").strip() or "Canine",
    )


def _calendar_page(
    practice: Practice, session: Session, day: date, notice: str | None = None, status: int = 200
) -> Response:
    page = render(
        "calendar/page.html",
        clinic=practice.clinic,
        vendor=VENDOR_NAMES[practice.clinic.vendor],
        form_token=session.form_token,
        day=day,
        long_day=f"{day:%A}, {day.day} {day:%B %Y}",
        day_before=day - timedelta(days=1),
        day_after=day + timedelta(days=1),
        today=practice.calendar.today,
        notice=notice,
        rows=[Row.of(entry, practice.calendar) for entry in practice.calendar.day(day)],
    )
    response = HTMLResponse(page, status_code=status)
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["Cache-Control"] = "no-store"
    return response
