"""The people's page: one day of the calendar, with forms to book, move, cancel, delete and finish.

Server-rendered, without script or anything from elsewhere. Every value is escaped, and every
form carries the session's token. What an edit means is ``calendar``'s.
"""

import html
import secrets
from collections.abc import Callable
from datetime import date, datetime, timedelta

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pims_pipeline.simulator.practice.calendar import Booking, Calendar, EditRefused, UnknownEntry
from pims_pipeline.simulator.practice.generation import Entry
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import SESSION_COOKIE, read_form
from pims_pipeline.simulator.vendors.idexx_neo.sessions import HELD_MODES, Session

_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'"
)

_STYLE = """
:root { color-scheme: light; font-family: system-ui, sans-serif; line-height: 1.4; }
* { box-sizing: border-box; }
body { margin: 0; background: #eef3f5; color: #16303b; }
header { background: #0b4a5b; color: #fff; padding: .9rem 1.5rem; display: flex; gap: 1rem;
  align-items: center; justify-content: space-between; flex-wrap: wrap; }
header h1 { font-size: 1.15rem; margin: 0; }
header p { margin: 0; font-size: .85rem; color: #cfe3ea; }
main { max-width: 78rem; margin: 0 auto; padding: 1.25rem 1.5rem 3rem; }
nav { display: flex; gap: .5rem; align-items: center; flex-wrap: wrap; margin-bottom: 1rem; }
h2 { font-size: 1.3rem; margin: 0 1rem 0 0; }
table { width: 100%; border-collapse: collapse; background: #fff; border-radius: .6rem;
  box-shadow: 0 1px 6px #0b2a361f; }
.scroll { overflow-x: auto; position: relative; }
caption { position: absolute; left: -999rem; }
th, td { text-align: left; vertical-align: top; padding: .55rem .75rem;
  border-bottom: 1px solid #dde7eb; }
thead th { font-size: .78rem; text-transform: uppercase; letter-spacing: .04em; color: #45616c; }
tbody th { white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.staff td, tr.staff th { background: #f6f4ec; color: #5b5540; }
tr.deleted td, tr.deleted th { background: #f4f4f4; color: #6a6a6a; }
tr.deleted .name { text-decoration: line-through; }
.muted { color: #516b76; font-size: .85rem; }
.status { display: inline-block; padding: .1rem .55rem; border-radius: 1rem; font-size: .82rem;
  background: #e3edf1; color: #1c4655; white-space: nowrap; }
.status.done { background: #dff1e3; color: #14532a; }
.status.off { background: #f7e0dd; color: #7c1d12; }
.status.now { background: #fdf0cf; color: #6b4a00; }
form.inline { display: inline; }
details { margin-top: .2rem; } summary { cursor: pointer; color: #0b6075; }
label { display: block; font-size: .82rem; font-weight: 600; margin: .5rem 0 .15rem; }
input, textarea, select { font: inherit; padding: .35rem .5rem; border: 1px solid #6d8793;
  border-radius: .375rem; background: #fff; }
textarea { width: 100%; min-width: 20rem; min-height: 6rem; }
button, a.button { font: inherit; font-size: .88rem; padding: .35rem .75rem; cursor: pointer;
  border: 1px solid #0b6075; border-radius: .375rem; background: #fff; color: #0b4a5b;
  text-decoration: none; display: inline-block; }
button.main { background: #0b6075; color: #fff; }
button.danger { border-color: #8c1c13; color: #8c1c13; }
:focus-visible { outline: 3px solid #e0a100; outline-offset: 2px; }
.notice { background: #fdecea; color: #8c1c13; padding: .6rem .9rem; border-radius: .5rem; }
.card { background: #fff; border-radius: .6rem; padding: 1rem 1.25rem; margin-top: 1.25rem;
  box-shadow: 0 1px 6px #0b2a361f; }
.card h3 { margin: 0 0 .25rem; }
.fields { display: flex; gap: .9rem; flex-wrap: wrap; align-items: end; }
"""

_STATUS_CLASSES = {
    "Finalized": "done",
    "Ready to Pay": "now",
    "In Progress": "now",
    "Cancelled": "off",
    "No Show": "off",
}


async def show_diary(request: Request) -> Response:
    """``GET /?date=YYYY-MM-DD``: the day's calendar, or the way to the login page."""
    simulator = await simulator_of(request)
    session = _session(request, simulator)
    if session is None:
        return RedirectResponse("/login", status_code=302)
    if session.held_at in HELD_MODES:
        return RedirectResponse(f"/welcome/{session.held_at}", status_code=302)
    practice = simulator.practices[session.company_id]
    day = _date(request.query_params.get("date")) or practice.calendar.today
    return _diary_page(practice, session, day)


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
        return RedirectResponse("/login", status_code=303)
    form = await read_form(request)
    practice = simulator.practices[session.company_id]
    day = _date(form.get("date")) or practice.calendar.today
    if not secrets.compare_digest(session.form_token.encode(), form.get("form_token", "").encode()):
        return _diary_page(
            practice, session, day, "This form is out of date. Please try again.", 403
        )
    try:
        entry = _apply(practice.calendar, entry_id, action, form)
    except (EditRefused, UnknownEntry) as error:
        return _diary_page(practice, session, day, str(error), 400)
    target = entry.start.date() if action in {"book", "move"} else day
    return RedirectResponse(f"/?date={target.isoformat()}#visit-{entry.id}", status_code=303)


def _apply(calendar: Calendar, entry_id: int | None, action: str, form: dict[str, str]) -> Entry:
    if entry_id is None:
        return calendar.book(_booking(form))
    edits: dict[str, Callable[[], Entry]] = {
        "move": lambda: calendar.move(entry_id, _form_time(form)),
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


def _diary_page(
    practice: Practice, session: Session, day: date, notice: str | None = None, status: int = 200
) -> Response:
    rows = "".join(
        _row(entry, practice.calendar, session, day) for entry in practice.calendar.day(day)
    )
    said = f'<p class="notice" role="alert">{html.escape(notice)}</p>' if notice else ""
    title = f"{html.escape(practice.clinic.name)} - {day.isoformat()}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>{_header(practice, session, day)}<main>"
        f"{_date_bar(practice, day)}{said}"
        '<div class="scroll" role="region" aria-label="Calendar" tabindex="0">'
        f"<table><caption>Calendar of {_long(day)}</caption><thead><tr>"
        '<th scope="col">Time</th><th scope="col">Patient</th><th scope="col">Visit</th>'
        '<th scope="col">Status</th><th scope="col">Edit</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_booking_form(session, day)}</main></body></html>"
    )
    response = HTMLResponse(page, status_code=status)
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["Cache-Control"] = "no-store"
    return response


def _header(practice: Practice, session: Session, day: date) -> str:
    return (
        f"<header><div><h1>{html.escape(practice.clinic.name)}</h1><p>Simulated clinic "
        f"{html.escape(practice.clinic.company_id)} - local time, "
        f"{html.escape(practice.clinic.timezone)} "
        f"- nothing here is real</p></div>"
        f'<form method="post" action="/logout">{_hidden(session, day)}'
        "<button>Sign out</button></form></header>"
    )


def _date_bar(practice: Practice, day: date) -> str:
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    return (
        f'<nav aria-label="Day"><h2>{_long(day)}</h2>'
        f'<a class="button" href="/?date={before}" rel="prev">Previous day</a>'
        f'<a class="button" href="/?date={practice.calendar.today}">Today</a>'
        f'<a class="button" href="/?date={after}" rel="next">Next day</a>'
        '<form method="get" action="/" class="inline"><label for="pick" style="display:inline">'
        f'Go to</label> <input id="pick" type="date" name="date" value="{day}" required> '
        "<button>Show</button></form></nav>"
    )


def _long(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _hidden(session: Session, day: date) -> str:
    return (
        f'<input type="hidden" name="form_token" value="{html.escape(session.form_token)}">'
        f'<input type="hidden" name="date" value="{day}">'
    )


def _row(entry: Entry, calendar: Calendar, session: Session, day: date) -> str:
    kinds = "" if entry.kind == "appointment" else "staff"
    if entry.deleted:
        kinds += " deleted"
    status = "Deleted" if entry.deleted else entry.status
    shown = html.escape(
        status if entry.kind == "appointment" or entry.deleted else entry.kind.title()
    )
    style = "off" if entry.deleted else _STATUS_CLASSES.get(entry.status, "")
    return (
        f'<tr id="visit-{entry.id}" class="{kinds.strip()}"><th scope="row">'
        f"{entry.start:%H:%M}&ndash;{entry.end:%H:%M}</th><td>{_who(entry)}</td><td>{_what(entry)}</td>"
        f'<td><span class="status {style}">{shown}</span></td>'
        f"<td>{_edits(entry, calendar, session, day)}</td></tr>"
    )


def _who(entry: Entry) -> str:
    if entry.kind != "appointment":
        return f'<span class="name">{html.escape(entry.title)}</span>'
    name = html.escape(entry.patient.name if entry.patient else "Walk-in")
    animal = f"{entry.patient.species}, {entry.patient.breed}" if entry.patient else ""
    owner = " ".join(
        part for part in (entry.client.first_name, entry.client.last_name) if part
    ) if entry.client else ""  # fmt: skip
    return (
        f'<bdi class="name"><b>{name}</b></bdi> <span class="muted">{html.escape(animal)}</span>'
        f'<br><bdi class="muted">{html.escape(owner)}</bdi>'
    )


def _what(entry: Entry) -> str:
    if entry.kind != "appointment":
        return ""
    where = " - ".join(part for part in (entry.provider, entry.room) if part)
    lines = [html.escape(entry.type)] if entry.type else []
    lines += [
        f'<span class="muted">{html.escape(text)}</span>' for text in (entry.reason, where) if text
    ]
    return "<br>".join(lines)


def _edits(entry: Entry, calendar: Calendar, session: Session, day: date) -> str:
    hidden, path = _hidden(session, day), f"/calendar/{entry.id}"
    label = html.escape(entry.patient.name if entry.patient else entry.title)

    def button(action: str, text: str, style: str = "") -> str:
        return (
            f'<form class="inline" method="post" action="{path}/{action}">{hidden}'
            f'<button class="{style}" aria-label="{text}: {label}">{text}</button></form> '
        )

    if entry.deleted:
        return button("restore", "Restore")
    parts = []
    if entry.status == "Cancelled":
        parts.append(button("restore", "Restore"))
    elif entry.kind == "appointment":
        parts.append(button("cancel", "Cancel"))
    parts.append(button("delete", "Delete", "danger"))
    parts.append(
        f'<details><summary>Move</summary><form method="post" action="{path}/move">{hidden}'
        f'<label for="start-{entry.id}">New start</label><input id="start-{entry.id}" name="start" '
        f'type="datetime-local" value="{entry.start:%Y-%m-%dT%H:%M}" required> '
        "<button>Move</button></form></details>"
    )
    if entry.kind == "appointment":
        parts.append(_notes_form(entry, calendar, hidden, path))
    return "".join(parts)


def _notes_form(entry: Entry, calendar: Calendar, hidden: str, path: str) -> str:
    consultation = calendar.consultation_of(entry)
    finished = entry.status == "Finalized"
    action, text = ("notes", "Save notes") if finished else ("finish", "Finish visit")
    summary = "Notes" if finished else "Finish visit"
    hint = (
        "" if finished else '<p class="muted">Left empty, the simulator writes its own notes.</p>'
    )
    notes = html.escape(consultation.notes_html if consultation else "")
    return (
        f'<details><summary>{summary}</summary><form method="post" action="{path}/{action}">'
        f'{hidden}<label for="notes-{entry.id}">Notes (HTML)</label>'
        f'<textarea id="notes-{entry.id}" name="notes">{notes}</textarea>{hint}'
        f'<button class="main">{text}</button></form></details>'
    )


def _booking_form(session: Session, day: date) -> str:
    def field(name: str, label: str, attributes: str) -> str:
        return (
            f'<div><label for="book-{name}">{label}</label>'
            f'<input id="book-{name}" name="{name}" {attributes}></div>'
        )

    return (
        '<section class="card" aria-labelledby="book-title"><h3 id="book-title">Book a visit</h3>'
        f'<form method="post" action="/calendar/book">{_hidden(session, day)}<div class="fields">'
        + field("start", "Start", f'type="datetime-local" value="{day}T09:00" required')
        + field("minutes", "Minutes", 'type="number" min="1" max="1440" value="30" required')
        + field("patient", "Patient", 'maxlength="80" required')
        + field("client", "Client", 'maxlength="80"')
        + field("species", "Species", 'maxlength="40" value="Canine"')
        + field("type", "Type", 'maxlength="80" value="Consultation"')
        + '<button class="main">Book</button></div></form></section>'
    )
