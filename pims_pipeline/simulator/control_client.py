"""A typed client of the simulator's ``/_control`` interface, for tests and demonstrations.

It uses HTTP and none of the server's code, so it also controls a simulator in another process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import httpx2

from pims_pipeline.simulator.control_json import (
    Json,
    json_counts,
    json_object,
    json_objects,
    json_text,
    optional_text,
)


class ControlRefused(Exception):
    """The simulator refused an edit; the message says why.

    Attributes:
        status: The HTTP status: 404 for an unknown clinic or record, 400 for a bad request.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class TrueAppointment:
    """One record of the simulated calendar, as it truly is. Times are naive clinic-local.

    Attributes:
        room: By its name at the start.
        written_for_id: The patient that its consultation is of, once there is one.
    """

    id: str
    kind: Literal["appointment", "block", "roster"]
    deleted: bool
    status: str
    start: datetime
    end: datetime
    type: str | None
    room: str | None
    provider: str | None
    patient_id: str | None
    patient_name: str | None
    species: str | None
    breed: str | None
    consultation_id: str | None
    written_for_id: str | None
    notes: str | None
    last_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClinicInfo:
    """A simulated clinic; ``today`` is the date that divides its past from its future."""

    company_id: str
    name: str
    timezone: str
    username: str
    today: date
    listing_shape: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Stats:
    """The requests to each endpoint, and each clinic's successful logins."""

    requests: Mapping[str, int]
    logins: Mapping[str, int]


class SimulatorControl:
    """Controls one running simulator. Call ``close`` at the end."""

    def __init__(self, base_url: str) -> None:
        # Proxies of the environment do not concern a server on this machine.
        self._http = httpx2.Client(
            base_url=f"{base_url.rstrip('/')}/_control",
            timeout=30,
            trust_env=False,
            # Sent without a body too: web pages of other servers cannot send this header.
            headers={"Content-Type": "application/json"},
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def reset(self) -> None:
        """Forget edits, faults, sessions, settings and counts."""
        self._call("POST", "/reset")

    def stats(self) -> Stats:
        """The counts since the start or the last reset."""
        stats = json_object(self._call("GET", "/stats"))
        return Stats(requests=json_counts(stats["requests"]), logins=json_counts(stats["logins"]))

    def clinics(self) -> list[ClinicInfo]:
        """The simulated clinics."""
        return [
            ClinicInfo(
                company_id=json_text(clinic["companyId"]),
                name=json_text(clinic["name"]),
                timezone=json_text(clinic["timezone"]),
                username=json_text(clinic["username"]),
                today=date.fromisoformat(json_text(clinic["today"])),
                listing_shape=json_text(clinic["listingShape"]),
                vendor=json_text(clinic["vendor"]),
            )
            for clinic in json_objects(self._call("GET", "/clinics"))
        ]

    def appointments(self, company_id: str, start: date, end: date) -> list[TrueAppointment]:
        """Every record from ``start`` to ``end``, both included, deleted ones too."""
        records = self._call(
            "GET",
            f"/clinics/{company_id}/appointments",
            params={"start": start.isoformat(), "end": end.isoformat()},
        )
        return [_appointment(record) for record in json_objects(records)]

    def book(
        self,
        company_id: str,
        start: datetime,
        *,
        minutes: int = 30,
        patient_name: str = "Juniper",
        client_name: str = "Sam Booker",
        type: str | None = "Consultation",  # noqa: A002 - the vendor's own word for it
        status: str = "not arrived",
        species: str = "Canine",
        room: str | None = None,
        provider: str | None = None,
    ) -> TrueAppointment:
        """Book an appointment at a naive clinic-local time."""
        return self._edited(
            f"/clinics/{company_id}/appointments",
            {
                "start": _local(start),
                "minutes": minutes,
                "patientName": patient_name,
                "clientName": client_name,
                "type": type,
                "status": status,
                "species": species,
                "room": room,
                "provider": provider,
            },
        )

    def move_to_room(
        self, company_id: str, appointment_id: str, room: str | None
    ) -> TrueAppointment:
        """Put a record into another room, by its name at the start, or into none."""
        return self._edit(company_id, appointment_id, "room", {"room": room})

    def move_to_provider(
        self, company_id: str, appointment_id: str, provider: str | None
    ) -> TrueAppointment:
        """Give a record to another provider, by the name at the start, or to none."""
        return self._edit(company_id, appointment_id, "provider", {"provider": provider})

    def rename_room(self, company_id: str, room_id: int, name: str) -> None:
        """Give a room another name; its id stays."""
        self._call("POST", f"/clinics/{company_id}/rooms/{room_id}", body={"name": name})

    def move(self, company_id: str, appointment_id: str, start: datetime) -> TrueAppointment:
        """Move a record to another naive clinic-local start."""
        return self._edit(company_id, appointment_id, "move", {"start": _local(start)})

    def check_in(self, company_id: str, appointment_id: str) -> TrueAppointment:
        """Note that the animal has arrived."""
        return self._edit(company_id, appointment_id, "check-in")

    def cancel(self, company_id: str, appointment_id: str) -> TrueAppointment:
        """Cancel a record; it stays listed."""
        return self._edit(company_id, appointment_id, "cancel")

    def delete(self, company_id: str, appointment_id: str) -> TrueAppointment:
        """Delete a record; it leaves the listing."""
        return self._edit(company_id, appointment_id, "delete")

    def restore(self, company_id: str, appointment_id: str) -> TrueAppointment:
        """Undo a deletion and a cancellation."""
        return self._edit(company_id, appointment_id, "restore")

    def set_status(self, company_id: str, appointment_id: str, status: str) -> TrueAppointment:
        """Give a record any status."""
        return self._edit(company_id, appointment_id, "status", {"status": status})

    def finish(
        self, company_id: str, appointment_id: str, notes_html: str | None = None
    ) -> TrueAppointment:
        """Finish an appointment; without notes the simulator makes some up."""
        return self._edit(company_id, appointment_id, "finish", {"notesHtml": notes_html})

    def write_notes(self, company_id: str, appointment_id: str, html: str) -> TrueAppointment:
        """Write or correct the notes of an opened appointment."""
        return self._edit(company_id, appointment_id, "notes", {"html": html})

    def rename_patient(self, company_id: str, appointment_id: str, name: str) -> TrueAppointment:
        """Correct the animal's name on that record."""
        return self._edit(company_id, appointment_id, "patient", {"name": name})

    def join_series(self, company_id: str, appointment_id: str, series_id: str) -> TrueAppointment:
        """List a record under the identity of another one, as one of its series."""
        return self._edit(company_id, appointment_id, "series", {"seriesId": series_id})

    def rebook(
        self,
        company_id: str,
        appointment_id: str,
        *,
        patient_name: str | None = None,
        species: str = "Canine",
        client_name: str | None = None,
        consultation: Literal["none", "same", "new"] = "none",
    ) -> TrueAppointment:
        """Give a record to another patient, client, or both; one that is not named stays.

        Afterwards it has no consultation, still the former one, or a new one.
        """
        return self._edit(
            company_id,
            appointment_id,
            "rebook",
            {
                "patientName": patient_name,
                "species": species,
                "clientName": client_name,
                "consultation": consultation,
            },
        )

    def add_fault(
        self,
        kind: str,
        *,
        endpoint: Literal[
            "listing", "appointment", "consultation", "dictionary", "login", "any"
        ] = "any",
        company_id: str | None = None,
        times: int | None = 1,
        seconds: float = 0.0,
        retry_after: float | None = 1.0,
        appointment_id: str | None = None,
    ) -> None:
        """Set a fault for the next ``times`` requests; ``None`` lasts until cleared."""
        self._call(
            "POST",
            "/faults",
            body={
                "kind": kind,
                "endpoint": endpoint,
                "companyId": company_id,
                "times": times,
                "seconds": seconds,
                "retryAfter": retry_after,
                "appointmentId": None if appointment_id is None else int(appointment_id),
            },
        )

    def edit_after_page(
        self,
        company_id: str,
        action: Literal["book", "move", "check-in", "cancel", "delete", "restore", "finish"],
        *,
        after_pages: int = 1,
        appointment_id: str | None = None,
        start: datetime | None = None,
    ) -> None:
        """Edit the calendar once ``after_pages`` more pages of its listing were served.

        A booking and a move need a naive clinic-local ``start``, all but a booking the record.
        """
        body: dict[str, Json] = {"action": action, "afterPages": after_pages}
        body["appointmentId"] = None if appointment_id is None else int(appointment_id)
        body["start"] = None if start is None else _local(start)
        self._call("POST", f"/clinics/{company_id}/page-edits", body=body)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._call("DELETE", "/faults")

    def expire_sessions(
        self, company_id: str, mode: Literal["redirect", "401", "html"] = "redirect"
    ) -> None:
        """End the clinic's sessions; their requests are refused in ``mode``."""
        self._call("POST", f"/clinics/{company_id}/sessions/expire", body={"mode": mode})

    def login_mode(self, company_id: str, mode: str) -> None:
        """Choose what a right password leads to, by a name from docs/simulator.md."""
        self._call("POST", f"/clinics/{company_id}/login", body={"mode": mode})

    def settings(
        self,
        *,
        company_id: str | None = None,
        listing_shape: Literal["array", "appointments", "data", "events"] | None = None,
        deleted_lookup: Literal["flag", "not_found", "null", "gone"] | None = None,
        expired_mode: Literal["redirect", "401", "html"] | None = None,
        login_page: str | None = None,
        foreign_location: Literal["refused", "empty"] | None = None,
    ) -> None:
        """Change how one clinic, or all, respond; what is left out stays."""
        self._call(
            "POST",
            "/settings",
            body={
                "companyId": company_id,
                "listingShape": listing_shape,
                "deletedLookup": deleted_lookup,
                "expiredMode": expired_mode,
                "loginPage": login_page,
                "foreignLocation": foreign_location,
            },
        )

    def _edit(
        self,
        company_id: str,
        appointment_id: str,
        action: str,
        body: Mapping[str, Json] | None = None,
    ) -> TrueAppointment:
        return self._edited(f"/clinics/{company_id}/appointments/{appointment_id}/{action}", body)

    def _edited(self, path: str, body: Mapping[str, Json] | None) -> TrueAppointment:
        return _appointment(json_object(self._call("POST", path, body=body)))

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        response = self._http.request(method, path, json=body, params=params)
        if not response.is_success:
            raise _refusal(response)
        content: Json = response.json()
        return content


def _refusal(response: httpx2.Response) -> ControlRefused:
    try:
        content = response.json()
    except ValueError:
        content = {}
    message = content.get("error") or f"status {response.status_code}"
    return ControlRefused(f"the simulator refused: {message}", status=response.status_code)


def _local(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _appointment(record: Mapping[str, Json]) -> TrueAppointment:
    kind, updated = json_text(record["kind"]), optional_text(record["lastUpdatedAt"])
    return TrueAppointment(
        id=json_text(record["id"]),
        kind="block" if kind == "block" else "roster" if kind == "roster" else "appointment",
        deleted=record["deleted"] is True,
        status=json_text(record["status"]),
        start=datetime.fromisoformat(json_text(record["start"])),
        end=datetime.fromisoformat(json_text(record["end"])),
        type=optional_text(record["type"]),
        room=optional_text(record["room"]),
        provider=optional_text(record["provider"]),
        patient_id=optional_text(record["patientId"]),
        patient_name=optional_text(record["patientName"]),
        species=optional_text(record["species"]),
        breed=optional_text(record["breed"]),
        consultation_id=optional_text(record["consultationId"]),
        written_for_id=optional_text(record["writtenForId"]),
        notes=optional_text(record["notes"]),
        last_updated_at=datetime.fromisoformat(updated) if updated else None,
    )
