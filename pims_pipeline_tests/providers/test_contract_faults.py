"""What every provider promises when the vendor fails, stalls or ends a session."""

from datetime import UTC, datetime, timedelta

import pytest

from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.port import (
    ContractViolation,
    SessionExpired,
    SessionState,
    TimeLimitReached,
    TransientError,
)
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline_tests.providers.contract_harness import (
    DAY,
    ENDPOINTS,
    WINDOW,
    Harness,
    ask,
    at,
    finished_appointment,
    listed,
)
from pims_pipeline_tests.providers.stopping import ended_by_stop


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
    assert harness.credentials["password"].encode() not in state.data


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
def test_an_ended_session_is_distinguished_from_every_other_fault(
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
def test_a_contract_violation_is_never_an_empty_response(harness: Harness, endpoint: str) -> None:
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
def test_odd_responses_cost_no_appointment_and_no_consultation(harness: Harness, how: str) -> None:
    provider = harness.warm_provider()
    appointment = finished_appointment(harness, provider)
    before = {name: each.scheduled_start for name, each in listed(provider).items()}
    harness.respond_oddly(how)
    snapshot = provider.fetch_appointments(WINDOW)
    after = {each.appointment_id: each.scheduled_start for each in snapshot.appointments}
    assert after == before
    keys = [record.record_key for record in snapshot.quarantined]
    assert len(set(keys)) == len(keys)
    consultation = provider.fetch_consultation(appointment)
    assert consultation is not None
    assert "Well again." in (consultation.notes or "")
    assert provider.lookup_appointment(appointment.appointment_id).exists
