"""One simulator of both vendors for the tests of this folder, reset before each."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    VETSPIRE_CLINICS,
    SimulatorConfig,
)
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline_tests.simulator.http_client import TODAY
from pims_pipeline_tests.simulator.vetspire.graphql_client import Vetspire, vetspire_client


@pytest.fixture(scope="session")
def both_vendors() -> Iterator[SimulatorServer]:
    config = SimulatorConfig(today=TODAY, clinics=(*DEFAULT_CLINICS, *VETSPIRE_CLINICS))
    with running_simulator(config) as running:
        yield running


@pytest.fixture
def control(both_vendors: SimulatorServer) -> Iterator[SimulatorControl]:
    with closing(SimulatorControl(both_vendors.base_url)) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def base_url(both_vendors: SimulatorServer, control: SimulatorControl) -> str:
    control.clear_faults()
    return both_vendors.base_url


@pytest.fixture
def juniper(base_url: str) -> Iterator[Vetspire]:
    """The organisation with two locations."""
    with vetspire_client(base_url) as client:
        yield client
