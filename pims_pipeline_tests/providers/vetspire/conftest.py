"""Simulated organisations at Vetspire, and adapters with short waits."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import VETSPIRE_CLINICS, SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline_tests.providers.vetspire.clinics import (
    CHICAGO,
    DAY,
    OpenVetspire,
    provider_at,
)


@pytest.fixture(scope="session")
def vetspire() -> Iterator[SimulatorServer]:
    with running_simulator(SimulatorConfig(today=DAY, clinics=VETSPIRE_CLINICS)) as server:
        yield server


@pytest.fixture(scope="session")
def crowded_vetspire() -> Iterator[SimulatorServer]:
    """A clinic with more appointments a day than fit on a page."""
    config = SimulatorConfig(today=DAY, clinics=(CHICAGO,), appointments_per_day=230)
    with running_simulator(config) as server:
        yield server


@pytest.fixture
def control(vetspire: SimulatorServer) -> Iterator[SimulatorControl]:
    """The simulator's controls, after a reset."""
    with closing(SimulatorControl(vetspire.base_url)) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def open_vetspire(vetspire: SimulatorServer) -> Iterator[OpenVetspire]:
    """Opens adapters, and closes them after the test."""
    with ExitStack() as stack:

        def build(base_url: str | None = None, *, total_timeout: float = 60) -> VetspireProvider:
            provider = provider_at(base_url or vetspire.base_url, total_timeout=total_timeout)
            stack.callback(provider.close)
            return provider

        yield build


@pytest.fixture
def provider(
    control: SimulatorControl,  # noqa: ARG001 - resets the simulator first
    open_vetspire: OpenVetspire,
) -> VetspireProvider:
    """An adapter whose key was accepted."""
    return open_vetspire()
