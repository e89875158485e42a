"""What every provider promises when the vendor fails, refuses, drips or hangs."""

import pytest

from pims_pipeline.conformance.conditions import FETCHES, RequestKind, VendorCondition
from pims_pipeline.conformance.connections import Connections, HeldClock, ended, ended_after
from pims_pipeline.conformance.promises.asking import ask, ask_together, finished
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.providers.port import (
    ContractViolation,
    PimsError,
    TimeLimitReached,
    TransientError,
)
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal

REQUEST_TIMEOUT = 0.05
"""Seconds; of requests that get no end. Others get ``DEADLINE_SECONDS``."""
FAULTS: dict[VendorCondition, tuple[type[PimsError], ...]] = {
    VendorCondition.RATE_LIMITED: (TransientError,),
    VendorCondition.SERVER_ERROR: (TransientError,),
    VendorCondition.UNEXPECTED_RESPONSE: (ContractViolation, TransientError),
    VendorCondition.NO_CONTENT: (ContractViolation, TransientError),
    VendorCondition.GARBLED: (ContractViolation, TransientError),
    VendorCondition.BAD_REQUEST: (ContractViolation,),
    VendorCondition.CUT_OFF: (ContractViolation, TransientError),
    VendorCondition.TRUNCATED: (ContractViolation, TransientError),
}
BATCHED = (RequestKind.LOOKUP, RequestKind.CONSULTATION)
STALLS = (VendorCondition.SLOW_DRIP, VendorCondition.HUNG)


class FaultPromises:
    """Faults of the vendor and of the network."""

    @pytest.mark.parametrize("kind", FETCHES)
    @pytest.mark.parametrize("condition", list(FAULTS))
    def test_a_fault_is_an_error_and_never_an_absence(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        condition: VendorCondition,
        kind: RequestKind,
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        vendor.impose(condition, kind)
        with pytest.raises(FAULTS[condition]):
            ask(vendor, provider, kind, appointment)
        vendor.lift()
        assert ask(vendor, provider, kind, appointment) is not None

    @pytest.mark.parametrize("kind", BATCHED)
    def test_a_fault_of_a_batch_settles_none_of_its_appointments(
        self, vendor: PlayedVendor, connections: Connections, kind: RequestKind
    ) -> None:
        provider = connections.log_in()
        appointments = [finished(vendor, provider), finished(vendor, provider)]
        assert None not in ask_together(provider, kind, appointments).values()
        for condition in FAULTS:
            if condition in vendor.not_applicable:
                continue
            vendor.impose(condition, kind)
            try:
                settled = ask_together(provider, kind, appointments)
            except (ContractViolation, TransientError):
                settled = {}
            vendor.lift()
            assert None not in settled.values(), f"{condition} is taken for an absence"

    @pytest.mark.parametrize("kind", FETCHES)
    @pytest.mark.parametrize(
        "condition", [VendorCondition.RATE_LIMITED, VendorCondition.SERVER_ERROR]
    )
    def test_a_fault_that_passes_is_not_noticed(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        condition: VendorCondition,
        kind: RequestKind,
    ) -> None:
        provider = connections.log_in()
        appointment = finished(vendor, provider)
        vendor.impose(condition, kind, times=1)
        assert ask(vendor, provider, kind, appointment) is not None

    @pytest.mark.parametrize("kind", FETCHES)
    @pytest.mark.parametrize("condition", STALLS)
    def test_a_request_without_an_end_reaches_its_timeout(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        condition: VendorCondition,
        kind: RequestKind,
    ) -> None:
        appointment = finished(vendor, connections.log_in())
        provider = connections.log_in(request_timeout=REQUEST_TIMEOUT)
        vendor.impose(condition, kind)
        error = ended(lambda: ask(vendor, provider, kind, appointment))
        assert isinstance(error, TransientError)

    @pytest.mark.parametrize("kind", FETCHES)
    @pytest.mark.parametrize("condition", STALLS)
    def test_a_request_without_an_end_ends_when_the_run_stops(
        self,
        vendor: PlayedVendor,
        connections: Connections,
        condition: VendorCondition,
        kind: RequestKind,
    ) -> None:
        stop = StopSignal()
        provider = connections.log_in(stop)
        appointment = finished(vendor, provider)
        vendor.impose(condition, kind)
        before = vendor.requests(kind)
        error = ended_after(
            lambda: ask(vendor, provider, kind, appointment),
            lambda: vendor.requests(kind) > before,
            stop.stop,
        )
        assert isinstance(error, RunStopped)

    @pytest.mark.parametrize("kind", FETCHES)
    def test_a_request_without_an_end_ends_when_the_clinic_s_time_is_up(
        self, vendor: PlayedVendor, connections: Connections, kind: RequestKind
    ) -> None:
        clock = HeldClock()
        clinic = StopSignal(seconds=0.1, explanation="the clinic's time is up", clock=clock)
        provider = connections.log_in(clinic)
        appointment = finished(vendor, provider)
        vendor.impose(VendorCondition.SLOW_DRIP, kind)
        clock.run()
        error = ended(lambda: ask(vendor, provider, kind, appointment))
        assert isinstance(error, TimeLimitReached)
        assert "the clinic's time is up" in str(error)
