"""One simulator for the room, and logins to it that need no browser."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.idexx_neo.session import (
    Session,
    SessionCookie,
    account_of,
    exported,
)
from pims_pipeline.providers.port import Credentials, SessionState
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, SimulatedClinic
from pims_pipeline.simulator.server import SimulatorServer

CLINIC = DEFAULT_CLINICS[0]
CREDENTIALS = Credentials(
    username=CLINIC.username, password=CLINIC.password, company_id=CLINIC.company_id
)
OpenProvider = Callable[..., IdexxNeoProvider]


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def control(simulator: SimulatorServer) -> Iterator[SimulatorControl]:
    """The simulator's controls; it has forgotten everything earlier."""
    with SimulatorControl(simulator.base_url) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def open_provider(simulator: SimulatorServer, tmp_path: Path) -> Iterator[OpenProvider]:
    """Makes adapters that hurry; they are closed after the test."""
    with ExitStack() as stack:

        def build(**options: object) -> IdexxNeoProvider:
            settings: dict[str, object] = {
                "zone": CLINIC.zone,
                "base_url": simulator.base_url,
                "slug": "riverbend",
                "artifacts_dir": tmp_path / "artifacts",
                "requests_per_second": 1000.0,
                "retry_base_delay": 0.001,
                "connect_timeout": 5.0,
                "read_timeout": 10.0,
                "login_timeout": 20.0,
            }
            provider = IdexxNeoProvider(**{**settings, **options})  # type: ignore[arg-type] # the settings' types differ from each other
            stack.callback(provider.close)
            return provider

        yield build


def session_without_browser(base_url: str, clinic: SimulatedClinic = CLINIC) -> SessionState:
    """A live session of the simulator, got by sending its form as its page would."""
    with httpx2.Client(base_url=base_url, trust_env=False) as http:
        token = re.search(r'data-token="([0-9a-f]+)"', http.get("/login").text)
        assert token is not None
        http.post(
            "/login",
            data={
                "company_id": clinic.company_id,
                "username": clinic.username,
                "password": clinic.password,
                "csrf_token": token[1],
            },
        )
        cookies = tuple(
            SessionCookie(name=c.name, value=c.value or "", domain=c.domain)
            for c in http.cookies.jar
        )
    credentials = Credentials(clinic.username, clinic.password, clinic.company_id)
    return exported(
        Session(
            account=account_of(base_url, credentials),
            base_url=base_url,
            cookies=cookies,
            expires_at=datetime.now(UTC) + timedelta(hours=8),
        )
    )


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
