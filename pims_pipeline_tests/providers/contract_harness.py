"""One clinic at a vendor for the contract's tests: at the fake, and at the simulator.

Add a harness here, and to the fixture ``harness``, for each further adapter.
"""

from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment, RecordKind
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    HumanNeeded,
    LooksUpAppointments,
    PimsProvider,
    PortableSession,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.fake import FAKE_CREDENTIALS, FakeProvider, FakeVendor
from pims_pipeline_tests.providers.simulated_login import (
    CLINIC,
    CREDENTIALS,
    OpenProvider,
    session_without_browser,
)

DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY - timedelta(days=2), DAY + timedelta(days=2))
ENDPOINTS = ("listing", "lookup", "consultation")


class FullProvider(PimsProvider, PortableSession, LooksUpAppointments, Protocol):
    """A provider with every capability."""


class Harness(Protocol):
    """A clinic at a vendor, with the actions of its users and the network."""

    zone: ZoneInfo
    credentials: Credentials

    def provider(self) -> FullProvider: ...
    def warm_provider(self, stop: StopSignal | None = None) -> FullProvider: ...
    def book(self, start: datetime) -> str: ...
    def block(self) -> str: ...
    def move(self, appointment_id: str, start: datetime) -> None: ...
    def cancel(self, appointment_id: str) -> None: ...
    def delete(self, appointment_id: str) -> None: ...
    def finish(self, appointment_id: str, notes: str) -> None: ...
    def expire_sessions(self) -> None: ...
    def ask_for_a_person(self) -> None: ...
    def break_down(self, endpoint: str) -> None: ...
    def break_promise(self, endpoint: str) -> None: ...
    def stall(self, endpoint: str, request_timeout: float = 600.0) -> None: ...
    def respond_oddly(self, how: str) -> None: ...
    def requests(self, endpoint: str) -> int: ...


class FakeHarness:
    def __init__(self) -> None:
        self.zone = CLINIC.zone
        self.credentials = FAKE_CREDENTIALS
        self.vendor = FakeVendor(self.zone)
        self._booked = 0

    def provider(self) -> FakeProvider:
        return FakeProvider(self.vendor)

    def warm_provider(self, stop: StopSignal | None = None) -> FakeProvider:
        provider = self.provider()
        provider.watch(stop or StopSignal())
        provider.authenticate(self.credentials)
        return provider

    def book(self, start: datetime, kind: RecordKind = RecordKind.APPOINTMENT) -> str:
        self._booked += 1
        return self.vendor.book(f"a{self._booked}", start, kind=kind).appointment_id

    def block(self) -> str:
        return self.book(at(12), RecordKind.BLOCK)

    def move(self, appointment_id: str, start: datetime) -> None:
        self.vendor.move(appointment_id, start)

    def cancel(self, appointment_id: str) -> None:
        self.vendor.set_status(appointment_id, "Cancelled")

    def delete(self, appointment_id: str) -> None:
        self.vendor.delete(appointment_id)

    def finish(self, appointment_id: str, notes: str) -> None:
        self.vendor.record_appointment(appointment_id, notes=notes)

    def expire_sessions(self) -> None:
        self.vendor.expire_sessions()

    def ask_for_a_person(self) -> None:
        self.vendor.fail_next(HumanNeeded("choose a location"), "login")

    def break_down(self, endpoint: str) -> None:
        self.vendor.fail_next(TransientError("down"), endpoint)  # type: ignore[arg-type] # a name from ENDPOINTS

    def break_promise(self, endpoint: str) -> None:
        self.vendor.fail_next(ContractViolation("odd"), endpoint)  # type: ignore[arg-type] # a name from ENDPOINTS

    def stall(self, endpoint: str, request_timeout: float = 600.0) -> None:
        self.vendor.request_timeout = request_timeout
        self.vendor.hanging.add(endpoint)  # type: ignore[arg-type] # a name from ENDPOINTS

    def respond_oddly(self, how: str) -> None:
        """The fake has no wire format, so nothing in it is odd."""

    def requests(self, endpoint: str) -> int:
        counts = {
            "login": self.vendor.logins,
            "listing": self.vendor.listings,
            "lookup": self.vendor.lookups,
            "consultation": self.vendor.consultation_fetches,
        }
        return counts[endpoint]


class SimulatorHarness:
    """The real adapter at the simulator, which calls a lookup an ``appointment``."""

    def __init__(
        self, simulator: SimulatorServer, control: SimulatorControl, open_provider: OpenProvider
    ) -> None:
        self.zone = CLINIC.zone
        self.credentials = CREDENTIALS
        self._base_url = simulator.base_url
        self._control = control
        self._open = open_provider
        self._company = CLINIC.company_id
        self._request_timeout = 60.0

    def provider(self) -> IdexxNeoProvider:
        return self._open(
            total_timeout=self._request_timeout, read_timeout=600.0, login_timeout=600.0
        )

    def warm_provider(self, stop: StopSignal | None = None) -> IdexxNeoProvider:
        provider = self.provider()
        provider.watch(stop or StopSignal())
        provider.restore_session(session_without_browser(self._base_url))
        return provider

    def book(self, start: datetime) -> str:
        return self._control.book(self._company, start).id

    def block(self) -> str:
        records = self._control.appointments(self._company, WINDOW.start, WINDOW.end)
        return next(record.id for record in records if record.kind == "block")

    def move(self, appointment_id: str, start: datetime) -> None:
        self._control.move(self._company, appointment_id, start)

    def cancel(self, appointment_id: str) -> None:
        self._control.cancel(self._company, appointment_id)

    def delete(self, appointment_id: str) -> None:
        self._control.delete(self._company, appointment_id)

    def finish(self, appointment_id: str, notes: str) -> None:
        self._control.finish(self._company, appointment_id, f"<p>{notes}</p>")

    def expire_sessions(self) -> None:
        self._control.expire_sessions(self._company)

    def ask_for_a_person(self) -> None:
        self._control.login_mode(self._company, "location")

    def break_down(self, endpoint: str) -> None:
        self._fault("server_error", endpoint)

    def break_promise(self, endpoint: str) -> None:
        self._fault("html", endpoint)

    def stall(self, endpoint: str, request_timeout: float = 600.0) -> None:
        self._request_timeout = request_timeout
        self._fault("drip", endpoint, times=None)

    def respond_oddly(self, how: str) -> None:
        self._control.add_fault(how, times=None)

    def requests(self, endpoint: str) -> int:
        name = "login_page" if endpoint == "login" else self._name(endpoint)
        return self._control.stats().requests.get(name, 0)

    def _fault(self, kind: str, endpoint: str, times: int | None = 4) -> None:
        self._control.add_fault(kind, endpoint=self._name(endpoint), times=times)  # type: ignore[arg-type] # a name from ENDPOINTS

    @staticmethod
    def _name(endpoint: str) -> str:
        return "appointment" if endpoint == "lookup" else endpoint


def at(hour: int, *, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour))


def listed(provider: PimsProvider, window: DateRange = WINDOW) -> dict[str, PimsAppointment]:
    return {
        found.appointment_id: found for found in provider.fetch_appointments(window).appointments
    }


def ask(provider: FullProvider, endpoint: str, appointment: PimsAppointment) -> object:
    match endpoint:
        case "listing":
            return provider.fetch_appointments(WINDOW)
        case "lookup":
            return provider.lookup_appointment(appointment.appointment_id)
        case _:
            return provider.fetch_consultation(appointment)


def finished_appointment(harness: Harness, provider: PimsProvider) -> PimsAppointment:
    identity = harness.book(at(9))
    harness.finish(identity, "Well again.")
    return listed(provider)[identity]
