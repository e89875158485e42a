"""Every error of the tree, reached by a fault of the simulator at every endpoint."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import httpx2
import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.port import (
    ContractViolation,
    PimsError,
    SessionExpired,
    SessionState,
    TransientError,
)
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.odd_server import Response, odd_server
from pims_pipeline_tests.providers.simulated_login import (
    CLINIC,
    CREDENTIALS,
    OpenProvider,
    session_without_browser,
)

Endpoint = Literal["listing", "appointment", "consultation"]
ENDPOINTS: tuple[Endpoint, ...] = ("listing", "appointment", "consultation")


@pytest.fixture
def today(control: SimulatorControl) -> DateRange:
    day = next(c.today for c in control.clinics() if c.company_id == CLINIC.company_id)
    return DateRange(day, day)


@pytest.fixture
def appointment(
    control: SimulatorControl, warm_provider: IdexxNeoProvider, today: DateRange
) -> PimsAppointment:
    """An appointment of today with a consultation."""
    records = control.appointments(CLINIC.company_id, today.start, today.end)
    chosen = next(r.id for r in records if r.kind == "appointment" and not r.deleted)
    control.finish(CLINIC.company_id, chosen, "<p>Well.</p>")
    listing = warm_provider.fetch_appointments(today)
    return next(found for found in listing.appointments if found.appointment_id == chosen)


def ask(provider: IdexxNeoProvider, endpoint: Endpoint, appointment: PimsAppointment) -> object:
    match endpoint:
        case "listing":
            return provider.fetch_appointments(
                DateRange(appointment.business_date, appointment.business_date)
            )
        case "appointment":
            return provider.lookup_appointment(appointment.appointment_id)
        case "consultation":
            return provider.fetch_consultation(appointment)


def refused(
    provider: IdexxNeoProvider, endpoint: Endpoint, appointment: PimsAppointment
) -> PimsError:
    with pytest.raises(PimsError) as raised:
        ask(provider, endpoint, appointment)
    assert CREDENTIALS["password"] not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", ["server_error", "cut_off", "truncated_json"])
def test_a_fault_that_lasts_is_transient_until_it_is_over(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
    fault: str,
) -> None:
    control.add_fault(fault, endpoint=endpoint, times=None)
    assert type(refused(warm_provider, endpoint, appointment)) is TransientError
    control.clear_faults()
    assert ask(warm_provider, endpoint, appointment) is not None


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", ["html", "not_a_list"])
def test_an_unexpected_response_violates_the_contract(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
    fault: str,
) -> None:
    control.add_fault(fault, endpoint=endpoint)
    assert type(refused(warm_provider, endpoint, appointment)) is ContractViolation


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("way", ["redirect", "401", "html"])
def test_a_session_that_ends_during_a_request_is_recognized_in_each_shape(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
    way: str,
) -> None:
    control.add_fault(f"session_expired_{way}", endpoint=endpoint)
    assert type(refused(warm_provider, endpoint, appointment)) is SessionExpired


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", ["server_error", "cut_off", "truncated_json"])
def test_a_fault_that_passes_is_not_noticed(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
    fault: str,
) -> None:
    control.add_fault(fault, endpoint=endpoint, times=3)
    assert ask(warm_provider, endpoint, appointment) is not None


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_short_rate_limit_is_waited_out(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
) -> None:
    control.add_fault("rate_limited", endpoint=endpoint, retry_after=0.05)
    assert ask(warm_provider, endpoint, appointment) is not None


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_long_rate_limit_is_returned_to_the_caller(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
) -> None:
    control.add_fault("rate_limited", endpoint=endpoint, retry_after=120)
    with pytest.raises(TransientError) as raised:
        ask(warm_provider, endpoint, appointment)
    assert raised.value.retry_after == 120


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_hung_connection_is_given_up(
    simulator: SimulatorServer,
    control: SimulatorControl,
    open_provider: OpenProvider,
    appointment: PimsAppointment,
    endpoint: Endpoint,
) -> None:
    hasty = open_provider(read_timeout=0.2)
    hasty.restore_session(session_without_browser(simulator.base_url))
    control.add_fault("hang", endpoint=endpoint, times=None)
    with pytest.raises(TransientError, match="did not respond in time"):
        ask(hasty, endpoint, appointment)


@pytest.mark.parametrize("mode", ["redirect", "401", "html"])
def test_a_session_that_really_ended_is_recognized_in_each_shape(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    mode: Literal["redirect", "401", "html"],
) -> None:
    control.expire_sessions(CLINIC.company_id, mode)
    for endpoint in ENDPOINTS:
        with pytest.raises(SessionExpired):
            ask(warm_provider, endpoint, appointment)


@pytest.mark.parametrize("how", ["flag", "not_found", "null", "gone"])
def test_a_deleted_appointment_is_recognized_in_every_response_shape(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    how: Literal["flag", "not_found", "null", "gone"],
) -> None:
    control.settings(deleted_lookup=how)
    control.delete(CLINIC.company_id, appointment.appointment_id)
    found = warm_provider.lookup_appointment(appointment.appointment_id)
    assert not found.exists
    assert found.deleted is (how == "flag")


def test_an_unreadable_record_is_quarantined_and_the_others_stay(
    control: SimulatorControl, warm_provider: IdexxNeoProvider, appointment: PimsAppointment
) -> None:
    window = DateRange(appointment.business_date, appointment.business_date)
    before = {a.appointment_id for a in warm_provider.fetch_appointments(window).appointments}
    control.add_fault("record_without_id", endpoint="listing")
    nameless = warm_provider.fetch_appointments(window)
    control.add_fault("record_without_start", endpoint="listing")
    timeless = warm_provider.fetch_appointments(window)
    assert nameless.hides_identities
    assert len(nameless.quarantined) == len(timeless.quarantined) == 1
    assert timeless.quarantined[0].pims_id in before
    for snapshot in (nameless, timeless):
        left = {found.appointment_id for found in snapshot.appointments}
        assert left < before
        assert len(left) == len(before) - 1


def test_duplicated_records_are_listed_once(
    control: SimulatorControl, warm_provider: IdexxNeoProvider, appointment: PimsAppointment
) -> None:
    window = DateRange(appointment.business_date, appointment.business_date)
    before = warm_provider.fetch_appointments(window).appointments
    control.add_fault("duplicates", endpoint="listing")
    assert set(warm_provider.fetch_appointments(window).appointments) == set(before)


@pytest.mark.parametrize("shape", ["array", "appointments", "data", "events"])
def test_every_listing_shape_says_the_same(
    control: SimulatorControl,
    warm_provider: IdexxNeoProvider,
    appointment: PimsAppointment,
    shape: Literal["array", "appointments", "data", "events"],
) -> None:
    window = DateRange(appointment.business_date, appointment.business_date)
    before = warm_provider.fetch_appointments(window).appointments
    control.settings(listing_shape=shape)
    assert warm_provider.fetch_appointments(window).appointments == before


def test_every_made_up_consultation_can_be_read(
    control: SimulatorControl, warm_provider: IdexxNeoProvider, today: DateRange
) -> None:
    window = DateRange(today.start.replace(day=1), today.start)
    true = {
        record.id: record
        for record in control.appointments(CLINIC.company_id, window.start, window.end)
    }
    listing = warm_provider.fetch_appointments(window)
    assert listing.quarantined == ()
    for appointment in listing.appointments:
        consultation = warm_provider.fetch_consultation(appointment)
        if consultation is None:
            continue
        assert consultation.patient is not None
        assert consultation.patient.species == true[appointment.appointment_id].species
        assert "</" not in (consultation.notes or "")


@pytest.mark.parametrize("endpoint", ["appointment", "consultation"])
@pytest.mark.parametrize("calendar", [200, 401])
def test_one_endpoint_that_redirects_to_the_login_does_not_mean_an_expired_session(
    open_provider: OpenProvider,
    simulator: SimulatorServer,
    appointment: PimsAppointment,
    endpoint: Endpoint,
    calendar: int,
) -> None:
    """Otherwise an account with few permissions would log in on every sync."""
    state = session_without_browser(simulator.base_url).data.decode()
    with odd_server() as server:
        server.responses = [Response(401), Response(calendar)]
        provider = open_provider(base_url=server.base_url)
        data = state.replace(simulator.base_url, server.base_url).encode()
        provider.restore_session(SessionState(data, datetime.now(UTC) + timedelta(hours=1)))
        error = refused(provider, endpoint, appointment)
    assert type(error) is (ContractViolation if calendar == httpx2.codes.OK else SessionExpired)
    assert server.paths[1].startswith("/appointments/getCalendarEventData")


def test_a_warm_provider_launches_no_browser_and_shares_its_accounts_pace(
    simulator: SimulatorServer,
    control: SimulatorControl,
    open_provider: OpenProvider,
    today: DateRange,
) -> None:
    state = session_without_browser(simulator.base_url)
    first, second = open_provider(), open_provider()
    for provider in (first, second):
        provider.restore_session(state)
        provider.fetch_appointments(today)
        assert provider.browser_launches == 0
    exchanges = [each._current_client()._exchange for each in (first, second)]
    assert exchanges[0]._bucket is exchanges[1]._bucket
    assert control.stats().requests["listing"] == 2
