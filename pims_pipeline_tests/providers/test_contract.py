"""What every provider promises, held against the fake and against the real adapter.

The harnesses below give each the same words for what people do at the vendor.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

from pims_pipeline.domain.clinics import DateRange, business_date, local_to_utc
from pims_pipeline.domain.records.appointments import PimsAppointment, RecordKind
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    HumanNeeded,
    LooksUpAppointments,
    PimsProvider,
    PortableSession,
    SessionExpired,
    SessionState,
    TimeLimitReached,
    TransientError,
)
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.fake import FAKE_CREDENTIALS, FakeProvider, FakeVendor
from pims_pipeline_tests.providers.simulated_login import (
    CLINIC,
    CREDENTIALS,
    OpenProvider,
    session_without_browser,
)
from pims_pipeline_tests.providers.stopping import ended_by_stop

DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY - timedelta(days=2), DAY + timedelta(days=2))
ENDPOINTS = ("listing", "lookup", "consultation")


class FullProvider(PimsProvider, PortableSession, LooksUpAppointments, Protocol):
    """A provider with every capability."""


class Harness(Protocol):
    """A clinic at a vendor, as people and the network treat it."""

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
    def answer_oddly(self, how: str) -> None: ...
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

    def answer_oddly(self, how: str) -> None:
        """A vendor without a wire has nothing odd on it."""

    def requests(self, endpoint: str) -> int:
        counts = {
            "login": self.vendor.logins,
            "listing": self.vendor.listings,
            "lookup": self.vendor.lookups,
            "consultation": self.vendor.consultation_fetches,
        }
        return counts[endpoint]


class SimulatorHarness:
    """The real adapter at the simulator, which calls a look-up an ``appointment``."""

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

    def answer_oddly(self, how: str) -> None:
        self._control.add_fault(how, times=None)

    def requests(self, endpoint: str) -> int:
        name = "login_page" if endpoint == "login" else self._name(endpoint)
        return self._control.stats().requests.get(name, 0)

    def _fault(self, kind: str, endpoint: str, times: int | None = 4) -> None:
        self._control.add_fault(kind, endpoint=self._name(endpoint), times=times)  # type: ignore[arg-type] # a name from ENDPOINTS

    @staticmethod
    def _name(endpoint: str) -> str:
        return "appointment" if endpoint == "lookup" else endpoint


@pytest.fixture(params=["fake", "idexx_neo"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
    else:
        yield SimulatorHarness(
            request.getfixturevalue("simulator"),
            request.getfixturevalue("control"),
            request.getfixturevalue("open_provider"),
        )


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


def test_a_right_password_logs_in_and_a_wrong_one_is_refused(
    harness: Harness, tmp_path: Path
) -> None:
    provider = harness.provider()
    wrong = Credentials(harness.credentials.username, "not it", harness.credentials.company_id)
    assert provider.authenticate(wrong) is False
    with pytest.raises(SessionExpired):
        provider.fetch_appointments(WINDOW)
    assert provider.authenticate(harness.credentials) is True
    identity = harness.book(at(9))
    assert identity in listed(provider)
    assert not list(tmp_path.glob("*.png")), "pictures belong into the artifacts directory"


def test_a_login_that_only_a_person_can_finish_leaves_no_session(harness: Harness) -> None:
    provider = harness.provider()
    harness.ask_for_a_person()
    with pytest.raises(HumanNeeded):
        provider.authenticate(harness.credentials)
    with pytest.raises(SessionExpired):
        provider.fetch_appointments(WINDOW)
    with pytest.raises(SessionExpired):
        provider.export_session()


def test_a_booked_appointment_is_listed_in_utc_on_its_local_date(harness: Harness) -> None:
    late = harness.book(at(23))
    found = listed(harness.warm_provider(), DateRange(DAY, DAY))[late]
    assert found.scheduled_start == local_to_utc(at(23), harness.zone)
    assert found.scheduled_start.utcoffset() == timedelta(0)
    assert found.scheduled_end > found.scheduled_start
    assert found.business_date == DAY
    assert found.kind is RecordKind.APPOINTMENT


def test_a_listing_holds_its_window_and_no_other_date(harness: Harness) -> None:
    inside = harness.book(at(9))
    before = harness.book(at(23, day=DAY - timedelta(days=1)))
    after = harness.book(at(0, day=DAY + timedelta(days=1)))
    snapshot = harness.warm_provider().fetch_appointments(DateRange(DAY, DAY))
    found = {record.appointment_id: record for record in snapshot.appointments}
    assert inside in found
    assert not {before, after} & found.keys()
    assert {record.business_date for record in found.values()} == {DAY}
    assert snapshot.window == DateRange(DAY, DAY)
    assert snapshot.complete


def test_a_listing_names_each_identity_once(harness: Harness) -> None:
    harness.book(at(9))
    found = harness.warm_provider().fetch_appointments(WINDOW).appointments
    assert len({record.appointment_id for record in found}) == len(found)


def test_a_listing_is_one_request(harness: Harness) -> None:
    provider = harness.warm_provider()
    before = harness.requests("listing")
    provider.fetch_appointments(DateRange(DAY, DAY + timedelta(days=30)))
    assert harness.requests("listing") == before + 1


def test_a_snapshot_is_dated_before_its_request(harness: Harness) -> None:
    provider = harness.warm_provider()
    before = datetime.now(UTC)
    fetched_at = provider.fetch_appointments(WINDOW).fetched_at
    assert before <= fetched_at <= datetime.now(UTC)
    assert fetched_at.utcoffset() == timedelta(0)


def test_a_moved_appointment_is_listed_on_its_new_date(harness: Harness) -> None:
    identity = harness.book(at(9))
    later = DAY + timedelta(days=1)
    harness.move(identity, at(14, day=later))
    provider = harness.warm_provider()
    assert identity not in listed(provider, DateRange(DAY, DAY))
    assert listed(provider, DateRange(later, later))[identity].business_date == later


def test_a_cancelled_appointment_stays_listed_and_a_deleted_one_does_not(harness: Harness) -> None:
    cancelled, deleted = harness.book(at(9)), harness.book(at(10))
    harness.cancel(cancelled)
    harness.delete(deleted)
    found = listed(harness.warm_provider())
    assert found[cancelled].status.lower() == "cancelled"
    assert deleted not in found


def test_a_block_is_told_from_an_appointment(harness: Harness) -> None:
    identity = harness.block()
    assert listed(harness.warm_provider())[identity].kind is RecordKind.BLOCK


def test_a_finished_appointment_has_its_consultation(harness: Harness) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    consultation = provider.fetch_consultation(appointment)
    assert consultation is not None
    assert consultation.appointment_id == appointment.appointment_id
    assert consultation.consultation_id == appointment.consultation_id
    assert "Well again." in (consultation.notes or "")


def test_an_appointment_without_consultation_is_not_asked_for(harness: Harness) -> None:
    identity = harness.book(at(9))
    provider = harness.warm_provider()
    appointment = listed(provider)[identity]
    before = harness.requests("consultation")
    assert appointment.consultation_id is None
    assert provider.fetch_consultation(appointment) is None
    assert harness.requests("consultation") == before


def test_an_unknown_consultation_is_none(harness: Harness) -> None:
    start = local_to_utc(at(9), harness.zone)
    appointment = PimsAppointment(
        appointment_id="1",
        consultation_id="999999999999",
        scheduled_start=start,
        scheduled_end=start,
        business_date=business_date(start, harness.zone),
    )
    assert harness.warm_provider().fetch_consultation(appointment) is None


def test_a_look_up_finds_an_appointment_wherever_it_was_moved(harness: Harness) -> None:
    identity = harness.book(at(9))
    far = date(2026, 9, 1)
    harness.move(identity, at(15, day=far))
    found = harness.warm_provider().lookup_appointment(identity)
    assert found.exists
    assert found.business_date == far
    assert found.scheduled_start == local_to_utc(at(15, day=far), harness.zone)


def test_a_look_up_of_a_deleted_or_unknown_appointment_does_not_stand(harness: Harness) -> None:
    identity = harness.book(at(9))
    harness.delete(identity)
    provider = harness.warm_provider()
    assert not provider.lookup_appointment(identity).exists
    assert not provider.lookup_appointment("999999999999").found


def test_a_look_up_is_dated_before_its_request(harness: Harness) -> None:
    identity = harness.book(at(9))
    provider = harness.warm_provider()
    before = datetime.now(UTC)
    assert before <= provider.lookup_appointment(identity).asked_at <= datetime.now(UTC)


def test_a_session_goes_on_in_another_provider(harness: Harness) -> None:
    state = harness.warm_provider().export_session()
    other = harness.provider()
    other.restore_session(state)
    identity = harness.book(at(9))
    assert identity in listed(other)
    assert state.expires_at > datetime.now(UTC)


def test_a_session_never_shows_its_secrets(harness: Harness) -> None:
    state = harness.warm_provider().export_session()
    assert state.data.decode() not in repr(state)
    assert harness.credentials.password.encode() not in state.data


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"{}", b'{"format": 1}'])
def test_a_stored_session_that_cannot_be_read_calls_for_a_login(
    harness: Harness, data: bytes
) -> None:
    state = SessionState(data=data, expires_at=datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(SessionExpired):
        harness.provider().restore_session(state)


def test_a_stored_session_past_its_end_calls_for_a_login(harness: Harness) -> None:
    state = harness.warm_provider().export_session()
    stale = SessionState(data=state.data, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SessionExpired):
        harness.provider().restore_session(stale)


def test_without_a_login_nothing_can_be_exported(harness: Harness) -> None:
    with pytest.raises(SessionExpired):
        harness.provider().export_session()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_ended_session_is_told_apart_from_every_other_fault(
    harness: Harness, endpoint: str
) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    harness.expire_sessions()
    with pytest.raises(SessionExpired):
        ask(provider, endpoint, appointment)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_breakdown_is_transient_and_passes(harness: Harness, endpoint: str) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    harness.break_down(endpoint)
    with pytest.raises(TransientError):
        ask(provider, endpoint, appointment)
    assert ask(provider, endpoint, appointment) is not None


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_broken_promise_is_never_an_empty_answer(harness: Harness, endpoint: str) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    harness.break_promise(endpoint)
    with pytest.raises(ContractViolation):
        ask(provider, endpoint, appointment)


APPOINTMENT = PimsAppointment(
    appointment_id="1",
    consultation_id="1",
    scheduled_start=datetime(2026, 3, 4, 9, tzinfo=UTC),
    scheduled_end=datetime(2026, 3, 4, 10, tzinfo=UTC),
    business_date=DAY,
)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_that_stalls_ends_with_its_time_limit_as_a_transient_error(
    harness: Harness, endpoint: str
) -> None:
    harness.stall(endpoint, request_timeout=0.2)
    with pytest.raises(TransientError):
        ask(harness.warm_provider(), endpoint, APPOINTMENT)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_that_stalls_ends_when_the_clinics_time_is_up(
    harness: Harness, endpoint: str
) -> None:
    harness.stall(endpoint)
    clinic = StopSignal(seconds=1, explanation="the clinic's time is up")
    with pytest.raises(TimeLimitReached, match="the clinic's time is up"):
        ask(harness.warm_provider(clinic), endpoint, APPOINTMENT)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_that_stalls_ends_when_the_run_stops(harness: Harness, endpoint: str) -> None:
    harness.stall(endpoint)
    stop = StopSignal()
    provider = harness.warm_provider(stop)
    before = harness.requests(endpoint)
    ended = ended_by_stop(
        lambda: ask(provider, endpoint, APPOINTMENT),
        stop,
        lambda: harness.requests(endpoint) > before,
    )
    assert isinstance(ended, RunStopped)


def test_a_login_that_stalls_ends_when_the_run_stops(harness: Harness) -> None:
    harness.stall("login")
    stop = StopSignal()
    provider = harness.provider()
    provider.watch(stop)
    ended = ended_by_stop(
        lambda: provider.authenticate(harness.credentials),
        stop,
        lambda: harness.requests("login") > 0,
    )
    assert isinstance(ended, RunStopped)


@pytest.mark.parametrize(
    "how", ["zero_ids", "odd_bytes", "json_as_html", "odd_descriptions", "duplicates"]
)
def test_what_is_put_oddly_costs_no_appointment_and_no_consultation(
    harness: Harness, how: str
) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    before = {name: each.scheduled_start for name, each in listed(provider).items()}
    harness.answer_oddly(how)
    snapshot = provider.fetch_appointments(WINDOW)
    after = {each.appointment_id: each.scheduled_start for each in snapshot.appointments}
    assert after == before
    keys = [record.record_key for record in snapshot.quarantined]
    assert len(set(keys)) == len(keys)
    consultation = provider.fetch_consultation(appointment)
    assert consultation is not None
    assert "Well again." in (consultation.notes or "")
    assert provider.lookup_appointment(appointment.appointment_id).exists


def test_several_threads_share_one_provider(harness: Harness) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: provider.fetch_consultation(appointment), range(12)))
    assert {answer.consultation_id for answer in answers if answer} == {appointment.consultation_id}
    assert None not in answers


def test_closing_again_does_nothing(harness: Harness) -> None:
    provider = harness.warm_provider()
    provider.close()
    provider.close()
