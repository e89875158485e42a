"""One simulator for the tests of this folder, and logins to it that need no browser."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline_tests.providers.simulated_login import (
    OpenProvider,
    clinic_at,
    session_without_browser,
)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    with running_simulator() as server:
        yield server


@pytest.fixture
def control(simulator: SimulatorServer) -> Iterator[SimulatorControl]:
    """The simulator's controls, after a reset."""
    with closing(SimulatorControl(simulator.base_url)) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def open_provider(simulator: SimulatorServer, tmp_path: Path) -> Iterator[OpenProvider]:
    """Builds adapters with short waits, and closes them after the test."""
    with ExitStack() as stack:

        def build(
            base_url: str | None = None,
            *,
            login_timeout: float = 20,
            read_timeout: float = 10,
            total_timeout: float = 60,
        ) -> IdexxNeoProvider:
            requests = RequestOptions(
                per_second=1000,
                retry_base_delay=0.001,
                read_timeout=read_timeout,
                total_timeout=total_timeout,
            )
            login = LoginOptions(artifacts_dir=tmp_path / "artifacts", timeout=login_timeout)
            options = ProviderOptions(login=login, requests=requests)
            provider = IdexxNeoProvider(clinic_at(base_url or simulator.base_url), options)
            stack.callback(provider.close)
            return provider

        yield build


@pytest.fixture
def warm_provider(
    simulator: SimulatorServer,
    control: SimulatorControl,  # noqa: ARG001 - resets the simulator before the login
    open_provider: OpenProvider,
) -> IdexxNeoProvider:
    """An adapter with a live session that no browser was launched for."""
    provider = open_provider()
    provider.restore_session(session_without_browser(simulator.base_url))
    return provider
