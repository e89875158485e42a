"""What every provider promises of its use: threads, closing, and secrets that stay secret."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pims_pipeline.conformance.conditions import FETCHES, RequestKind, VendorCondition
from pims_pipeline.conformance.connections import (
    DEADLINE_SECONDS,
    Connections,
    with_portable_session,
)
from pims_pipeline.conformance.promises.asking import ask, finished, the_day
from pims_pipeline.conformance.promises.faults import FAULTS
from pims_pipeline.conformance.secrecy import assert_none_shown, error_text, secrets_of
from pims_pipeline.conformance.vendor import NotApplicable, PlayedVendor
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.port import (
    PimsProvider,
    PortableSession,
    SessionExpired,
    capabilities_of,
)


class UsePromises:
    """How the pipeline uses a provider."""

    def test_the_provider_has_the_capabilities_that_it_declares(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        assert capabilities_of(connections.open()) == vendor.description.capabilities

    @pytest.mark.parametrize("kind", FETCHES)
    def test_several_threads_share_one_provider(
        self, vendor: PlayedVendor, connections: Connections, kind: RequestKind
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(ask, vendor, provider, kind, appointment) for _ in range(12)]
        assert None not in [each.result(DEADLINE_SECONDS) for each in asked]

    def test_closing_again_does_nothing(self, connections: Connections) -> None:
        provider = connections.log_in()
        provider.close()
        provider.close()

    def test_a_closed_provider_sends_nothing(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        provider = connections.log_in()
        provider.close()
        before = vendor.requests(RequestKind.LISTING)
        with pytest.raises(SessionExpired):
            provider.fetch_appointments(the_day(vendor))
        assert vendor.requests(RequestKind.LISTING) == before

    def test_a_provider_that_was_never_used_can_be_closed(self, connections: Connections) -> None:
        provider = connections.open()
        provider.close()
        provider.close()


class SecretPromises:
    """Each declared secret is looked for wherever the pipeline writes."""

    def test_no_log_and_no_repr_holds_a_secret(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            provider = connections.log_in()
            appointment = finished(vendor, provider)
            for kind in (RequestKind.LISTING, RequestKind.CONSULTATION):
                ask(vendor, provider, kind, appointment)
        shown = [repr(provider), repr(vendor.credentials), caplog.text]
        if isinstance(provider, PortableSession):
            shown.append(repr(provider.export_session()))
        assert_none_shown(secrets_of(vendor, vendor.credentials), [*shown, *capfd.readouterr()])

    @pytest.mark.parametrize("kind", FETCHES)
    def test_a_redirect_takes_no_secret_to_another_server(
        self, vendor: PlayedVendor, connections: Connections, kind: RequestKind
    ) -> None:
        vendor.check_applicable(VendorCondition.REDIRECTED)
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        vendor.impose(VendorCondition.REDIRECTED, kind)
        error = error_text(lambda: ask(vendor, provider, kind, appointment))
        assert error, "what another server sends is taken for the vendor's"
        assert_none_shown(secrets_of(vendor, vendor.credentials), [error, *vendor.sent_elsewhere()])

    @pytest.mark.parametrize("kind", FETCHES)
    def test_no_error_and_no_log_of_a_fault_holds_a_secret(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
        kind: RequestKind,
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        with caplog.at_level(logging.DEBUG):
            errors = list(_errors(vendor, provider, kind, appointment))
        assert_none_shown(
            secrets_of(vendor, vendor.credentials), [*errors, caplog.text, *capfd.readouterr()]
        )

    def test_a_stored_session_holds_no_password(
        self, vendor: PlayedVendor, connections: Connections
    ) -> None:
        state = with_portable_session(connections.log_in()).export_session()
        assert state.data.decode(errors="replace") not in repr(state)
        assert_none_shown(
            secrets_of(vendor, vendor.credentials), [state.data.decode(errors="replace")]
        )


def _errors(
    vendor: PlayedVendor, provider: PimsProvider, kind: RequestKind, appointment: PimsAppointment
) -> Iterator[str]:
    """The text of the error that each fault leads to, the end of the session last."""
    for condition in (*FAULTS, VendorCondition.SESSION_EXPIRES):
        try:
            vendor.impose(condition, kind)
        except NotApplicable:
            continue
        yield error_text(lambda: ask(vendor, provider, kind, appointment))
        vendor.lift()
