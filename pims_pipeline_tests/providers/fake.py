"""A vendor in memory, and providers that use it: the port's test double.

``FakeVendor`` holds the state (a calendar, consultations, accounts, faults);
``FakeProvider`` keeps the same promises as the real adapters
(``conformance/test_fake.py``). Nothing here knows a wire format.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date, local_to_utc
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Client,
    Patient,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.domain.records.shapes import Shapes
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import (
    Credentials,
    SessionExpired,
    SessionState,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal

Endpoint = Literal["login", "listing", "lookup", "consultation"]
Clock = Callable[[], datetime]

SESSION_LENGTH = timedelta(hours=8)
FAKE_CREDENTIALS = neo_credentials(username="vet@example.test", password="correct horse")


@dataclass
class _Fault:
    error: BaseException
    endpoint: str
    left: int


@dataclass
class FakeVendor:
    """A pretend vendor; tests may edit its public fields between calls.

    Attributes:
        zone: The clinic's zone.
        appointments: The calendar, by appointment id.
        consultations: The consultations, by their id.
        quarantined: Unreadable records; one without a business date is in every listing.
        deleted_ids: Identities that a lookup reports as deleted.
        broken_consultations: By consultation id, the error that fetching it always gives.
        listing_complete: Whether the next snapshots are complete.
        listing_shapes: What the next snapshots say that the vendor sent.
        unsettled: Appointments that batches leave out.
        batches: The appointments that each batch asked for.
        on_request: Called before every response, without any lock held; may block or raise.
        hanging: Endpoints that give no response; a request fails after ``request_timeout``.
        request_timeout: Seconds.
    """

    zone: ZoneInfo
    clock: Clock = lambda: datetime.now(UTC)
    credentials: Credentials = FAKE_CREDENTIALS
    appointments: dict[str, PimsAppointment] = field(default_factory=dict)
    consultations: dict[str, PimsConsultation] = field(default_factory=dict)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    deleted_ids: set[str] = field(default_factory=set)
    broken_consultations: dict[str, BaseException] = field(default_factory=dict)
    listing_complete: bool = True
    listing_shapes: Shapes = ()
    on_request: Callable[[Endpoint], None] | None = None
    hanging: set[Endpoint] = field(default_factory=set)
    request_timeout: float = 60.0
    logins: int = 0
    listings: int = 0
    lookups: int = 0
    consultation_fetches: int = 0
    unsettled: set[str] = field(default_factory=set)
    batches: list[tuple[str, ...]] = field(default_factory=list)
    listed_windows: list[DateRange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._sessions: set[str] = set()
        self._serial = count(1)

    def book(
        self,
        appointment_id: str,
        local_start: datetime,
        *,
        minutes: int = 30,
        status: str = "Confirmed",
        appointment_type: str | None = "Exam",
        consultation_id: str | None = None,
        kind: RecordKind = RecordKind.APPOINTMENT,
        resources: tuple[str, ...] | None = None,
    ) -> PimsAppointment:
        """Put an appointment into the calendar at a naive local time, over one of the same id."""
        start = local_to_utc(local_start, self.zone)
        appointment = PimsAppointment(
            appointment_id=appointment_id,
            consultation_id=consultation_id,
            scheduled_start=start,
            scheduled_end=start + timedelta(minutes=minutes),
            business_date=business_date(start, self.zone),
            status=status,
            appointment_type=appointment_type,
            patient=Patient(id=f"p-{appointment_id}", name=f"Patient {appointment_id}"),
            client=Client(
                id=f"c-{appointment_id}", name=f"Client {appointment_id}", phone="555-0100"
            ),
            provider="Dr. Example",
            kind=kind,
            resources=resources,
        )
        return self.put(appointment)

    def put(self, appointment: PimsAppointment) -> PimsAppointment:
        """Put ``appointment`` into the calendar as it is."""
        self.appointments[appointment.appointment_id] = appointment
        self.deleted_ids.discard(appointment.appointment_id)
        return appointment

    def move(self, appointment_id: str, local_start: datetime) -> PimsAppointment:
        """Reschedule an appointment to a naive local time, keeping its length."""
        old = self.appointments[appointment_id]
        start = local_to_utc(local_start, self.zone)
        return self.put(
            replace(
                old,
                scheduled_start=start,
                scheduled_end=start + (old.scheduled_end - old.scheduled_start),
                business_date=business_date(start, self.zone),
            )
        )

    def move_to(self, appointment_id: str, *resources: str) -> PimsAppointment:
        """Put an appointment into another room or column, or give it to another provider."""
        return self.put(replace(self.appointments[appointment_id], resources=resources))

    def set_status(self, appointment_id: str, status: str) -> PimsAppointment:
        """Change fields of an appointment."""
        return self.put(replace(self.appointments[appointment_id], status=status))

    def delete(self, appointment_id: str, *, leave_trace: bool = False) -> PimsAppointment:
        """Take an appointment out of the calendar; with a trace, a lookup reports it as deleted."""
        if leave_trace:
            self.deleted_ids.add(appointment_id)
        return self.appointments.pop(appointment_id)

    def record_appointment(self, appointment_id: str, *, notes: str = "Well.") -> PimsConsultation:
        """Finish an appointment: its status, and its consultation."""
        consultation_id = f"k-{appointment_id}"
        appointment = self.put(
            replace(
                self.appointments[appointment_id],
                status="Finalized",
                consultation_id=consultation_id,
            )
        )
        consultation = PimsConsultation(
            appointment_id=appointment_id,
            consultation_id=consultation_id,
            consultation_date=appointment.business_date,
            status="Finalized",
            notes=notes,
            patient=replace(appointment.patient, species="Canine"),
        )
        self.consultations[consultation_id] = consultation
        return consultation

    def fail_next(
        self, error: BaseException, endpoint: Endpoint | Literal["any"] = "any", times: int = 1
    ) -> None:
        """Fail the next ``times`` requests to ``endpoint`` with ``error``.

        The fake, like a real adapter, has done its own retries by then.
        """
        self._faults.append(_Fault(error, endpoint, times))

    def expire_sessions(self) -> None:
        """End every session; its next request gets ``SessionExpired``."""
        self._sessions.clear()

    def count_request(self, endpoint: Endpoint, token: str | None, stop: StopSignal) -> None:
        """Count a request; raise the error that is set for it, if any."""
        if endpoint != "login" and token is None:
            raise SessionExpired("Nothing was sent to the pretend vendor: log in first.")
        if endpoint in self.hanging:
            with self._lock:
                self._count(endpoint)
            stop.wait(self.request_timeout)
            raise TransientError(f"The pretend vendor gave no response for a {endpoint} in time.")
        if self.on_request is not None:
            self.on_request(endpoint)
        with self._lock:
            self._count(endpoint)
            fault = next((f for f in self._faults if f.endpoint in ("any", endpoint)), None)
            if fault is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self._faults.remove(fault)
                raise fault.error
            if endpoint != "login" and token not in self._sessions:
                raise SessionExpired(
                    f"The pretend vendor was asked for a {endpoint} without a live session; "
                    "log in again."
                )

    def new_session(self) -> str:
        """The token of a fresh login."""
        with self._lock:
            token = f"token-{next(self._serial)}"
            self._sessions.add(token)
            return token

    def _count(self, endpoint: Endpoint) -> None:
        match endpoint:
            case "login":
                self.logins += 1
            case "listing":
                self.listings += 1
            case "lookup":
                self.lookups += 1
            case "consultation":
                self.consultation_fetches += 1


class BareFakeProvider:
    """The port and no capability beyond it."""

    def __init__(self, vendor: FakeVendor) -> None:
        self.vendor = vendor
        self.closed = False
        self._token: str | None = None
        self._expires_at: datetime | None = None
        self._stop = StopSignal()

    def watch(self, stop: StopSignal) -> None:
        """See the port."""
        self._stop = stop

    def authenticate(self, credentials: Credentials) -> bool:
        """See the port."""
        self.vendor.count_request("login", None, self._stop)
        if credentials != self.vendor.credentials:
            return False
        self._expires_at = self.vendor.clock() + SESSION_LENGTH
        self._token = self.vendor.new_session()
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        """See the port."""
        fetched_at = self.vendor.clock()
        self.vendor.count_request("listing", self._token, self._stop)
        self.vendor.listed_windows.append(window)
        return Snapshot(
            window=window,
            appointments=tuple(
                found
                for found in self.vendor.appointments.values()
                if found.business_date in window
            ),
            quarantined=tuple(
                record
                for record in self.vendor.quarantined
                if record.business_date is None or record.business_date in window
            ),
            fetched_at=fetched_at,
            proof=Proof.ONE_RESPONSE if self.vendor.listing_complete else None,
            shapes=self.vendor.listing_shapes,
        )

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        """See the port."""
        if appointment.consultation_id is None:
            return None
        self.vendor.count_request("consultation", self._token, self._stop)
        if error := self.vendor.broken_consultations.get(appointment.consultation_id):
            raise error
        return self.vendor.consultations.get(appointment.consultation_id)

    def close(self) -> None:
        """See the port."""
        self.closed = True
        self._token = None


class _WithPortableSession(BareFakeProvider):
    def export_session(self) -> SessionState:
        """See the port."""
        if self._token is None or self._expires_at is None:
            raise SessionExpired("There is no session of the pretend vendor to keep; log in first.")
        return SessionState(
            data=json.dumps({"token": self._token}).encode(), expires_at=self._expires_at
        )

    def restore_session(self, state: SessionState) -> None:
        """See the port."""
        if state.expires_at <= self.vendor.clock():
            raise SessionExpired("The kept session of the pretend vendor is past its end.")
        try:
            token = json.loads(state.data)["token"]
        except (ValueError, KeyError, TypeError) as error:
            raise SessionExpired(
                "The kept session of the pretend vendor cannot be read; log in again."
            ) from error
        self._token, self._expires_at = token, state.expires_at


class _WithLookup(BareFakeProvider):
    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        """See the port."""
        asked_at = self.vendor.clock()
        self.vendor.count_request("lookup", self._token, self._stop)
        return self._found(appointment_id, asked_at)

    def _found(self, appointment_id: str, asked_at: datetime) -> AppointmentLookup:
        deleted = appointment_id in self.vendor.deleted_ids
        found = self.vendor.appointments.get(appointment_id)
        if found is None:
            return AppointmentLookup(
                appointment_id=appointment_id, asked_at=asked_at, found=deleted, deleted=deleted
            )
        return AppointmentLookup(
            appointment_id=appointment_id,
            asked_at=asked_at,
            found=True,
            kind=found.kind,
            status=found.status,
            scheduled_start=found.scheduled_start,
            scheduled_end=found.scheduled_end,
            business_date=found.business_date,
            resources=found.resources or (),
        )


class FakeProviderWithoutLookup(_WithPortableSession):
    """Keeps sessions, has no lookup."""


class FakeProviderWithoutSession(_WithLookup):
    """Has lookup, cannot keep sessions."""


class FakeProvider(_WithPortableSession, _WithLookup):
    """The port with the capabilities that most vendors have."""


class FakeProviderWithBatches(FakeProvider):
    """Also looks up and fetches several at once. A batch counts as one request."""

    def lookup_appointments(
        self, appointment_ids: Sequence[str]
    ) -> Mapping[str, AppointmentLookup]:
        """See the port."""
        asked_at = self.vendor.clock()
        self._ask_for(appointment_ids, "lookup")
        return {
            each: self._found(each, asked_at)
            for each in appointment_ids
            if each not in self.vendor.unsettled
        }

    def fetch_consultations(
        self, appointments: Sequence[PimsAppointment]
    ) -> Mapping[str, PimsConsultation | None]:
        """See the port."""
        self._ask_for([each.appointment_id for each in appointments], "consultation")
        return {
            each.appointment_id: self.vendor.consultations.get(each.consultation_id or "")
            for each in appointments
            if each.appointment_id not in self.vendor.unsettled
        }

    def _ask_for(self, appointment_ids: Sequence[str], endpoint: Endpoint) -> None:
        self.vendor.batches.append(tuple(appointment_ids))
        self.vendor.count_request(endpoint, self._token, self._stop)
