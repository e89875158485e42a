"""``/_control``: edits, faults and the true calendar, in JSON, for tests and demonstrations.

It has no login, and so accepts callers on this machine only. ``control_bodies`` has the bodies of
its requests, ``calendar`` the rules of an edit; ``endpoints`` and ``login`` apply the faults.
"""

import ipaddress
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request

from pims_pipeline.simulator.control_bodies import (
    BookBody,
    ExpireBody,
    FaultBody,
    FinishBody,
    LoginBody,
    MoveBody,
    NotesBody,
    PageEditBody,
    PatientBody,
    ProviderBody,
    RebookBody,
    RoomBody,
    RoomNameBody,
    SeriesBody,
    SettingsBody,
    StatusBody,
)
from pims_pipeline.simulator.faults import VENDOR_OF, Fault
from pims_pipeline.simulator.practice.calendar import Booking
from pims_pipeline.simulator.practice.entries import Entry, Patient
from pims_pipeline.simulator.practice.page_edits import PageEdit
from pims_pipeline.simulator.state import Practice, Simulator, simulator_of

Scalar = None | bool | int | float | str
LONGEST_TRUTH_DAYS = 366


async def only_this_machine(request: Request) -> None:
    """Refuse callers that are not on this machine.

    Raises:
        HTTPException: 403, for a caller from elsewhere.
    """
    host = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host in {"", "testclient"}
    if not local:
        raise HTTPException(403, "the control interface accepts callers on its own machine only")


router = APIRouter(prefix="/_control", dependencies=[Depends(only_this_machine)])
Sim = Annotated[Simulator, Depends(simulator_of)]


async def practice_of(company_id: str, simulator: Sim) -> Practice:
    """The clinic named in the path.

    Raises:
        HTTPException: 404, if no clinic has that company id.
    """
    return _practice(simulator, company_id)


def _practice(simulator: Simulator, company_id: str) -> Practice:
    practice = simulator.practices.get(company_id)
    if practice is None:
        raise HTTPException(404, f"no simulated clinic has the company id {company_id!r}")
    return practice


PracticeOf = Annotated[Practice, Depends(practice_of)]


def truth(entry: Entry, practice: Practice) -> dict[str, Scalar]:
    """Everything about one record at present, deleted or not."""
    consultation = practice.calendar.consultation_of(entry)
    changed = entry.last_updated_at
    return {
        "id": str(entry.id),
        "kind": entry.kind,
        "deleted": entry.deleted,
        "status": entry.status,
        "start": entry.start.strftime("%Y-%m-%d %H:%M:%S"),
        "end": entry.end.strftime("%Y-%m-%d %H:%M:%S"),
        "type": entry.type,
        "room": entry.room,
        "provider": entry.provider,
        "patientId": _id_of(entry.patient),
        "patientName": entry.patient.name if entry.patient else None,
        "species": entry.patient.species if entry.patient else None,
        "breed": entry.patient.breed if entry.patient else None,
        "consultationId": None if entry.consultation_id is None else str(entry.consultation_id),
        "writtenForId": _id_of(entry.written_for[0] if entry.written_for else entry.patient),
        "notes": consultation.notes_html if consultation else None,
        "lastUpdatedAt": changed.strftime("%Y-%m-%d %H:%M:%S") if changed else None,
    }


def _id_of(patient: Patient | None) -> str | None:
    return str(patient.id) if patient else None


@router.post("/reset")
async def reset(simulator: Sim) -> dict[str, Scalar]:
    """Forget edits, faults, sessions, settings and counts."""
    simulator.reset()
    return {"ok": True}


@router.get("/stats")
async def stats(simulator: Sim) -> dict[str, dict[str, int]]:
    """The requests to each endpoint, and the successful logins of each clinic."""
    vendor = ("listing", "appointment", "consultation", "dictionary")
    endpoints = ("login_page", "login_post", *vendor)
    return {
        "requests": {name: simulator.requests[name] for name in endpoints},
        "logins": {
            company_id: simulator.sessions.logins[company_id] for company_id in simulator.practices
        },
    }


@router.get("/clinics")
async def clinics(simulator: Sim) -> list[dict[str, Scalar]]:
    """The simulated clinics."""
    return [
        {
            "companyId": company_id,
            "name": practice.clinic.name,
            "timezone": practice.clinic.timezone,
            "username": practice.clinic.username,
            "today": practice.calendar.today.isoformat(),
            "listingShape": practice.listing_shape,
            "vendor": practice.clinic.vendor,
        }
        for company_id, practice in simulator.practices.items()
    ]


@router.get("/clinics/{company_id}/appointments")
async def appointments(practice: PracticeOf, start: date, end: date) -> list[dict[str, Scalar]]:
    """The truth about every record from ``start`` to ``end``, both included."""
    if not 0 <= (end - start).days <= LONGEST_TRUTH_DAYS:
        raise HTTPException(400, f"end must lie 0 to {LONGEST_TRUTH_DAYS} days after start")
    return [truth(entry, practice) for day in practice.calendar.days(start, end) for entry in day]


@router.post("/clinics/{company_id}/appointments")
async def book(practice: PracticeOf, body: BookBody) -> dict[str, Scalar]:
    """Book an appointment."""
    booking = Booking(**body.model_dump())
    return truth(practice.calendar.book(booking), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/move")
async def move(practice: PracticeOf, entry_id: int, body: MoveBody) -> dict[str, Scalar]:
    """Move a record to another start."""
    return truth(practice.calendar.move(entry_id, body.start), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/room")
async def move_to_room(practice: PracticeOf, entry_id: int, body: RoomBody) -> dict[str, Scalar]:
    """Put a record into another room, or into none."""
    return truth(practice.calendar.move_to_room(entry_id, body.room), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/provider")
async def move_to_provider(
    practice: PracticeOf, entry_id: int, body: ProviderBody
) -> dict[str, Scalar]:
    """Give a record to another provider, or to none."""
    return truth(practice.calendar.move_to_provider(entry_id, body.provider), practice)


@router.post("/clinics/{company_id}/rooms/{room_id}")
async def rename_room(practice: PracticeOf, room_id: int, body: RoomNameBody) -> dict[str, Scalar]:
    """Give a room another name."""
    practice.calendar.rename_room(room_id, body.name)
    return {"id": room_id, "name": body.name}


@router.post("/clinics/{company_id}/appointments/{entry_id}/check-in")
async def check_in(practice: PracticeOf, entry_id: int) -> dict[str, Scalar]:
    """Note that the animal has arrived."""
    return truth(practice.calendar.check_in(entry_id), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/cancel")
async def cancel(practice: PracticeOf, entry_id: int) -> dict[str, Scalar]:
    """Cancel a record; it stays listed."""
    return truth(practice.calendar.cancel(entry_id), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/delete")
async def delete(practice: PracticeOf, entry_id: int) -> dict[str, Scalar]:
    """Delete a record; it leaves the listing."""
    return truth(practice.calendar.delete(entry_id), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/restore")
async def restore(practice: PracticeOf, entry_id: int) -> dict[str, Scalar]:
    """Undo a deletion and a cancellation."""
    return truth(practice.calendar.restore(entry_id), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/status")
async def set_status(practice: PracticeOf, entry_id: int, body: StatusBody) -> dict[str, Scalar]:
    """Give a record any status."""
    return truth(practice.calendar.set_status(entry_id, body.status), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/finish")
async def finish(
    practice: PracticeOf, entry_id: int, body: FinishBody | None = None
) -> dict[str, Scalar]:
    """Finish an appointment."""
    return truth(practice.calendar.finish(entry_id, body.notes_html if body else None), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/notes")
async def notes(practice: PracticeOf, entry_id: int, body: NotesBody) -> dict[str, Scalar]:
    """Write or correct an appointment's notes."""
    return truth(practice.calendar.write_notes(entry_id, body.html), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/patient")
async def rename_patient(
    practice: PracticeOf, entry_id: int, body: PatientBody
) -> dict[str, Scalar]:
    """Correct the animal's name."""
    return truth(practice.calendar.rename_patient(entry_id, body.name), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/series")
async def join_series(practice: PracticeOf, entry_id: int, body: SeriesBody) -> dict[str, Scalar]:
    """List a record under another one's identity, as one of its series."""
    return truth(practice.calendar.join_series(entry_id, body.series_id), practice)


@router.post("/clinics/{company_id}/appointments/{entry_id}/rebook")
async def rebook(practice: PracticeOf, entry_id: int, body: RebookBody) -> dict[str, Scalar]:
    """Give a record to another patient, client, or both."""
    return truth(practice.calendar.rebook(entry_id, **body.model_dump()), practice)


@router.post("/clinics/{company_id}/page-edits")
async def edit_after_page(practice: PracticeOf, body: PageEditBody) -> dict[str, Scalar]:
    """Edit the calendar as soon as its listing was requested so many times more."""
    if body.appointment_id is not None:
        practice.calendar.entry(body.appointment_id)
    edit = PageEdit(body.action, body.after_pages, body.appointment_id or 0, body.start)
    practice.page_edits.waiting.append(edit)
    return {"waiting": len(practice.page_edits.waiting)}


@router.post("/clinics/{company_id}/sessions/expire")
async def expire(
    practice: PracticeOf, simulator: Sim, body: ExpireBody | None = None
) -> dict[str, Scalar]:
    """End every session of the clinic."""
    mode = body.mode if body else "redirect"
    return {"expired": simulator.sessions.end_all(practice.clinic.company_id, mode)}


@router.post("/clinics/{company_id}/login")
async def login_mode(practice: PracticeOf, simulator: Sim, body: LoginBody) -> dict[str, Scalar]:
    """Choose what a right password leads to; ``normal`` also forgets wrong passwords."""
    practice.login_mode = body.mode
    if body.mode == "normal":
        simulator.sessions.unlock(practice.clinic.company_id)
    return {"mode": body.mode}


@router.post("/settings")
async def settings(simulator: Sim, body: SettingsBody) -> dict[str, Scalar]:
    """Change how one clinic, or all of them, respond.

    ``expiredMode``, ``loginPage`` and ``foreignLocation`` apply to all clinics.
    """
    if body.company_id is not None:
        _practice(simulator, body.company_id)
    for company_id, practice in simulator.practices.items():
        if body.company_id in {None, company_id}:
            practice.listing_shape = body.listing_shape or practice.listing_shape
            practice.deleted_lookup = body.deleted_lookup or practice.deleted_lookup
    if body.expired_mode is not None:
        simulator.sessions.default_expired_mode = body.expired_mode
    simulator.login_page = body.login_page or simulator.login_page
    simulator.foreign_location = body.foreign_location or simulator.foreign_location
    return {"ok": True}


@router.post("/faults")
async def add_fault(simulator: Sim, body: FaultBody) -> dict[str, Scalar]:
    """Set a fault.

    Raises:
        HTTPException: 400, if the clinic's vendor does not have that fault.
    """
    if body.company_id is not None:
        clinic = _practice(simulator, body.company_id).clinic
        if VENDOR_OF.get(body.kind, clinic.vendor) != clinic.vendor:
            raise HTTPException(400, f"{body.kind} is no fault of {clinic.vendor}")
    fields = body.model_dump()
    fields["endpoint"] = None if body.endpoint == "any" else body.endpoint
    simulator.faults.add(Fault(**fields))
    return {"faults": len(simulator.faults.faults)}


@router.delete("/faults")
async def clear_faults(simulator: Sim) -> dict[str, Scalar]:
    """Remove every fault."""
    simulator.faults.clear()
    return {"faults": 0}
