"""The vendor's four JSON endpoints, as seen after login.

Each counts its request, applies the faults that are set, checks the session, and then responds.
``wire`` decides what the JSON looks like.
"""

import re
from collections.abc import Callable
from datetime import datetime

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from pims_pipeline.simulator.faults import Endpoint, RequestFaults
from pims_pipeline.simulator.practice.calendar import UnknownEntry
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of
from pims_pipeline.simulator.vendors.idexx_neo.login import BROWSER_COOKIE, SESSION_COOKIE
from pims_pipeline.simulator.vendors.idexx_neo.login_pages import login_page
from pims_pipeline.simulator.vendors.idexx_neo.oddities import oddly_described
from pims_pipeline.simulator.vendors.idexx_neo.record_faults import change_records
from pims_pipeline.simulator.vendors.idexx_neo.responses import expired_mode_of, without_session
from pims_pipeline.simulator.vendors.idexx_neo.sessions import Session
from pims_pipeline.simulator.vendors.idexx_neo.wire import (
    appointment_body,
    consultation_body,
    dictionary_body,
    listing_body,
)
from pims_pipeline.simulator.vendors.responses import apply_fault, delay_response, fault_response

LONGEST_LISTING_DAYS = 366
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
_ID = re.compile(r"[0-9]{1,18}")

Respond = Callable[[Request, Practice, RequestFaults], Response]


async def listing(request: Request) -> Response:
    """``GET /appointments/getCalendarEventData``."""
    return await _vendor_call(request, "listing", _listing)


async def appointment(request: Request) -> Response:
    """``GET /appointments/getAppointment``."""
    return await _vendor_call(request, "appointment", _appointment)


async def consultation(request: Request) -> Response:
    """``GET /consultations/{consultation_id}/page-data``."""
    return await _vendor_call(request, "consultation", _consultation)


async def dictionary(request: Request) -> Response:
    """``GET /appointments/getAppointmentView``."""
    return await _vendor_call(request, "dictionary", _dictionary)


async def _vendor_call(request: Request, endpoint: Endpoint, respond: Respond) -> Response:
    simulator = await simulator_of(request)
    simulator.requests[endpoint] += 1
    token = request.cookies.get(SESSION_COOKIE)
    session = _session(simulator, token)
    faults = simulator.faults.take(endpoint, session.company_id if session else None)
    await delay_response(request, faults.delays, simulator.stopping)
    expired = expired_mode_of(faults.response)
    if expired is not None:
        simulator.sessions.end(token, expired)
    instead = fault_response(faults.response) if faults.response else None
    if instead is not None:
        return instead
    if session is None or session.ended is not None:
        mode = simulator.sessions.expired_mode(token) if expired is None else expired
        return without_session(mode, _login_page_for(request, simulator))
    if session.held_at == "dead_session":
        return without_session(
            simulator.sessions.default_expired_mode, _login_page_for(request, simulator)
        )
    if session.held_at is not None:
        return RedirectResponse(f"/welcome/{session.held_at}", status_code=302)
    response = respond(request, simulator.practices[session.company_id], faults)
    return apply_fault(faults.response, response, oddly_described)


def _session(simulator: Simulator, token: str | None) -> Session | None:
    """The live session, if it is one of this vendor's: a person's elsewhere opens no endpoint."""
    session = simulator.sessions.use(token)
    known = session and simulator.practice_of("idexx_neo", session.company_id)
    return session if known else None


def _login_page_for(request: Request, simulator: Simulator) -> str:
    return login_page(simulator.sessions.login_token(request.cookies.get(BROWSER_COOKIE, "")))


def _refused(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _listing(request: Request, practice: Practice, faults: RequestFaults) -> Response:
    start = _local_time(request.query_params.get("start"))
    end = _local_time(request.query_params.get("end"))
    if start is None or end is None:
        return _refused("start and end are required as YYYY-MM-DD HH:MM:SS", 400)
    if not 0 <= (end - start).days <= LONGEST_LISTING_DAYS:
        return _refused(f"end must lie 0 to {LONGEST_LISTING_DAYS} days after start", 400)
    records = practice.listings.between(start, end)
    practice.page_edits.note_page(practice.calendar)
    records = change_records(faults.records, records)
    return Response(listing_body(records, practice.listing_shape), media_type="application/json")


def _local_time(text: str | None) -> datetime | None:
    if text is None or not _LOCAL_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _number(asked: str) -> int:
    """The id in a request; text that is not a number belongs to no record."""
    if not _ID.fullmatch(asked):
        raise UnknownEntry("no record has that id")
    return int(asked)


def _appointment(request: Request, practice: Practice, _faults: RequestFaults) -> Response:
    asked = request.query_params.get("id", "")
    if not asked:
        return _refused("id is required", 400)
    try:
        entry = practice.calendar.entry(_number(asked))
    except UnknownEntry:
        return _refused("Not found", 404)
    if entry.deleted and practice.deleted_lookup == "not_found":
        return _refused("Not found", 404)
    if entry.deleted and practice.deleted_lookup == "null":
        return JSONResponse({"appointment": None})
    if entry.deleted and practice.deleted_lookup == "gone":
        return _refused("Gone", 410)
    calendar = practice.calendar
    return JSONResponse(appointment_body(entry, practice.clinic.company_id, calendar.rooms))


def _dictionary(_request: Request, practice: Practice, _faults: RequestFaults) -> Response:
    return JSONResponse(dictionary_body(practice.calendar.rooms))


def _consultation(request: Request, practice: Practice, _faults: RequestFaults) -> Response:
    asked = str(request.path_params["consultation_id"])
    try:
        entry, content = practice.calendar.find_consultation(_number(asked))
    except UnknownEntry:
        return _refused("Not found", 404)
    return JSONResponse(consultation_body(entry, content, practice.clinic))
