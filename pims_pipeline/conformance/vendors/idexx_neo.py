"""IDEXX Neo for the suite, as the simulator plays it."""

import re
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2

from pims_pipeline.conformance.conditions import (
    RequestKind,
    Spoiled,
    SpoiledField,
    VendorCondition,
    deciding,
    optional,
)
from pims_pipeline.conformance.connections import DEADLINE_SECONDS
from pims_pipeline.conformance.http.proxy import ProxiedRequest
from pims_pipeline.conformance.vendors.simulated import SimulatedVendor
from pims_pipeline.providers.idexx_neo.description import PROVIDER, neo_credentials
from pims_pipeline.providers.idexx_neo.session import (
    NeoSession,
    SessionCookie,
    account_of,
    exported,
)
from pims_pipeline.providers.port import Credentials, PimsProvider, PortableSession, SessionState
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS

_ENDPOINTS = {
    "/appointments/getCalendarEventData": RequestKind.LISTING,
    "/appointments/getAppointment": RequestKind.LOOKUP,
    "/login": RequestKind.LOGIN,
}
_ONE_RESPONSE = "a listing is one response, however many records it holds"
_UNREADABLE_START: tuple[Spoiled, ...] = ([], {}, False, "soon")


class IdexxNeoVendor(SimulatedVendor):
    """The simulator's first clinic. Most tests log in without a browser, which takes seconds."""

    description = PROVIDER
    simulated = DEFAULT_CLINICS[0]
    not_applicable: ClassVar = {
        VendorCondition.LISTING_PAGED: _ONE_RESPONSE,
        VendorCondition.LISTING_SHIFTS: _ONE_RESPONSE,
        VendorCondition.OTHER_LOCATION: "a login opens one company, which has one calendar",
    }
    optional_fields: ClassVar[tuple[SpoiledField, ...]] = (
        *optional(
            RequestKind.LISTING,
            *("[].end", "[].arrival_date_time", "[].last_updated_at", "[].consultation_id"),
            *("[].patient_id", "[].patient_name", "[].client_id", "[].first_name", "[].last_name"),
            *("[].email", "[].phone_number", "[].provider", "[].resourceId", "[].title"),
            *("[].appointment_room_id", "[].appointment_room_name", "[].type_description"),
            *("[].reason", "[].current_status"),
        ),
        *optional(
            RequestKind.LOOKUP,
            *("appointment.endAtLocal", "appointment.status", "appointment.patient"),
            *("appointment.provider", "appointment.appointmentRoom", "appointment.notes"),
        ),
        *optional(
            RequestKind.CONSULTATION,
            *("consultation.date", "consultation.status", "consultation.reason"),
            *("consultation.notes", "consultation.dischargeSummary", "patient", "client"),
            *("patient.name", "patient.species", "patient.breed", "consultationNotes"),
            *("consultationLines", "consultationLines[].quantity", "vitalSignGroup", "diagnoses"),
        ),
    )
    deciding_fields: ClassVar[tuple[SpoiledField, ...]] = (
        *deciding(RequestKind.LISTING, "[0].start", values=_UNREADABLE_START),
        *deciding(RequestKind.LISTING, "[0].is_block", "[0].is_roster", values=({"a": 1}, "maybe")),
        *deciding(RequestKind.LISTING, "[0].appointment_id", values=({"a": 1}, [1], True)),
        *deciding(RequestKind.LOOKUP, "appointment.id", values=([1], {"a": 1}, "other")),
        *deciding(RequestKind.LOOKUP, "appointment.deleted", values=({"a": 1}, "maybe")),
        *deciding(RequestKind.LOOKUP, "appointment.startAtLocal", values=({"a": 1}, "soon")),
        *deciding(RequestKind.CONSULTATION, "consultation", "consultation.id"),
    )

    @property
    def credentials(self) -> Credentials:
        """See ``PlayedVendor``."""
        return neo_credentials(
            self.simulated.username, self.simulated.password, self.simulated.company_id
        )

    @staticmethod
    def kind_of(request: ProxiedRequest) -> RequestKind | None:
        """See ``HttpVendor``."""
        path = urlsplit(request.path).path
        if path.startswith("/consultations/"):
            return RequestKind.CONSULTATION
        return _ENDPOINTS.get(path)

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        """See ``PlayedVendor``."""
        match condition:
            case VendorCondition.SESSION_EXPIRES:
                self.control.expire_sessions(self.account)
            case VendorCondition.PERSON_NEEDED:
                self.control.login_mode(self.account, "location")
            case _:
                super().play(condition, kind, times)

    def log_in(self, provider: PimsProvider) -> None:
        """See ``PlayedVendor``."""
        assert isinstance(provider, PortableSession)
        provider.restore_session(session_of_form(self.base_url, self.credentials))


def session_of_form(base_url: str, credentials: Credentials) -> SessionState:
    """A live session of the simulator, obtained by sending its form without a browser."""
    with httpx2.Client(base_url=base_url, timeout=DEADLINE_SECONDS, trust_env=False) as http:
        token = re.search(r'data-token="([0-9a-f]+)"', http.get("/login").text)
        assert token is not None
        http.post("/login", data={**credentials.fields, "csrf_token": token[1]})
        cookies = tuple(
            SessionCookie(name=c.name, value=c.value or "", domain=c.domain)
            for c in http.cookies.jar
        )
    return exported(
        NeoSession(
            account=account_of(base_url, credentials),
            base_url=base_url,
            cookies=cookies,
            expires_at=datetime.now(UTC) + timedelta(hours=8),
        )
    )
