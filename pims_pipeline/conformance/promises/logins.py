"""What every provider promises of logins and of access that ends."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from pims_pipeline.conformance.conditions import FETCHES, RequestKind, VendorCondition
from pims_pipeline.conformance.connections import (
    Connections,
    ended_after,
    listed,
    with_portable_session,
)
from pims_pipeline.conformance.promises.asking import ask, at, finished, the_day
from pims_pipeline.conformance.secrecy import assert_none_shown, error_text, secrets_of
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.providers.port import (
    HumanNeeded,
    PortableSession,
    SessionExpired,
    SessionState,
)
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal


class LoginPromises:
    """Logins and refusals."""

    def test_wrong_credentials_are_refused_and_the_right_ones_open_the_calendar(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        provider, wrong = connections.open(), vendor.wrong_credentials()
        caplog.set_level(logging.DEBUG)
        assert provider.authenticate(wrong) is False
        refused = error_text(lambda: provider.fetch_appointments(the_day(vendor)))
        with pytest.raises(SessionExpired):
            provider.fetch_appointments(the_day(vendor))
        assert provider.authenticate(vendor.credentials) is True
        identity = vendor.book(at(vendor, 9))
        assert identity in listed(provider, the_day(vendor))
        secrets = secrets_of(vendor, wrong) + secrets_of(vendor, vendor.credentials)
        assert_none_shown(secrets, [refused, caplog.text, *capfd.readouterr()])

    def test_nothing_is_fetched_without_a_login(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        with pytest.raises(SessionExpired):
            connections.open().fetch_appointments(the_day(vendor))

    def test_a_login_that_only_a_person_can_finish_leaves_no_access(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.impose(VendorCondition.PERSON_NEEDED, RequestKind.LOGIN)
        provider = connections.open()
        with pytest.raises(HumanNeeded):
            provider.authenticate(vendor.credentials)
        with pytest.raises(SessionExpired):
            provider.fetch_appointments(the_day(vendor))
        if isinstance(provider, PortableSession):
            with pytest.raises(SessionExpired):
                provider.export_session()

    def test_a_login_without_a_response_ends_when_the_run_stops(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        vendor.impose(VendorCondition.HUNG, RequestKind.LOGIN)
        stop = StopSignal()
        provider = connections.open(stop)
        before = vendor.requests(RequestKind.LOGIN)
        ended = ended_after(
            lambda: provider.authenticate(vendor.credentials),
            lambda: vendor.requests(RequestKind.LOGIN) > before,
            stop.stop,
        )
        assert isinstance(ended, RunStopped)


class SessionPromises:
    """Access that ends, and sessions that outlive a process."""

    @pytest.mark.parametrize("kind", FETCHES)
    def test_access_that_ends_is_distinguished_from_every_other_fault(
        self, vendor: PlayedVendor, connections: Connections, kind: RequestKind
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        vendor.impose(VendorCondition.SESSION_EXPIRES)
        with pytest.raises(SessionExpired):
            ask(vendor, provider, kind, appointment)

    def test_a_login_after_access_has_ended_opens_the_calendar_again(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        identity = vendor.book(at(vendor, 9))
        vendor.impose(VendorCondition.SESSION_EXPIRES)
        with pytest.raises(SessionExpired):
            provider.fetch_appointments(the_day(vendor))
        vendor.lift()
        vendor.log_in(provider)
        assert identity in listed(provider, the_day(vendor))

    def test_a_session_goes_on_in_another_provider(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        state = with_portable_session(connections.log_in()).export_session()
        other = connections.open()
        with_portable_session(other).restore_session(state)
        identity = vendor.book(at(vendor, 9))
        assert identity in listed(other, the_day(vendor))
        assert state.expires_at > datetime.now(UTC)

    def test_without_a_login_no_session_is_exported(self, connections: Connections) -> None:
        provider = with_portable_session(connections.open())
        with pytest.raises(SessionExpired):
            provider.export_session()

    def test_a_stored_session_past_its_end_calls_for_a_login(
        self, connections: Connections
    ) -> None:
        state = with_portable_session(connections.log_in()).export_session()
        stale = SessionState(data=state.data, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        with pytest.raises(SessionExpired):
            with_portable_session(connections.open()).restore_session(stale)

    @pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"{}", b'{"format": 1}'])
    def test_a_stored_session_that_cannot_be_read_calls_for_a_login(
        self, connections: Connections, data: bytes
    ) -> None:
        state = SessionState(data=data, expires_at=datetime.now(UTC) + timedelta(hours=1))
        provider = with_portable_session(connections.open())
        with pytest.raises(SessionExpired):
            provider.restore_session(state)
