"""One simulator for the tests of this folder, reset before each."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline_tests.simulator.http_client import TODAY


@pytest.fixture(scope="session")
def server() -> Iterator[SimulatorServer]:
    """A simulator whose today is a fixed Wednesday."""
    with running_simulator(SimulatorConfig(today=TODAY)) as running:
        yield running


@pytest.fixture
def base_url(server: SimulatorServer, control: SimulatorControl) -> str:
    """The address of the simulator, reset and without faults."""
    control.clear_faults()
    return server.base_url


@pytest.fixture
def control(server: SimulatorServer) -> Iterator[SimulatorControl]:
    """Controls the simulator, after a reset."""
    with closing(SimulatorControl(server.base_url)) as steering:
        steering.reset()
        yield steering
