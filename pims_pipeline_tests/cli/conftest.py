"""Fixtures: ``pims`` as a function on the test's own database and home, and a simulator."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from pims_pipeline.cli.main import main
from pims_pipeline.settings import variable_names
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.cli.invocation import KEY, SLUG, Pims, store_login
from pims_pipeline_tests.databases import Databases, Engines
from pims_pipeline_tests.providers.simulated_login import session_without_browser
from pims_pipeline_tests.store.dagster_template import dagster_template


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this test process, with Dagster's tables."""
    with ExitStack() as stack:
        yield Databases(dagster_template(server_url), server_url, stack)


@pytest.fixture
def pims(
    database_url: str, tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pims]:
    """The command line, on the test's database."""
    monkeypatch.setattr("pims_pipeline.composition.create_engine", engines.create)
    settings: dict[str, str | None] = {
        **dict.fromkeys([*variable_names().values(), "HOST", "PORT"]),
        "PIMS_DATABASE_URL": database_url,
        "ENCRYPTION_KEY": KEY,
        "PIMS_HOME": str(tmp_path / "home"),
        "PIMS_REQUESTS_PER_SECOND": "1000",
        "LOG_LEVEL": "ERROR",
    }

    def run(*args: str, typed: str | bytes | None = None, **env: str | None) -> Result:
        return CliRunner().invoke(main, args, input=typed, env={**settings, **env})

    before = dict(os.environ)
    yield run
    # A sync sets environment variables for the Dagster in its process.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    """The simulator, with six appointments a day."""
    with running_simulator(SimulatorConfig(appointments_per_day=6)) as server:
        yield server


@pytest.fixture
def control(simulator: SimulatorServer) -> Iterator[SimulatorControl]:
    """The simulator's control interface; reset after the test."""
    with closing(SimulatorControl(simulator.base_url)) as control:
        yield control
        control.reset()


@pytest.fixture
def registered(pims: Pims, simulator: SimulatorServer) -> str:
    """The slug of a clinic in the simulator, without a login."""
    done = pims(
        "clinics",
        "add",
        SLUG,
        "--name=Riverbend Animal Hospital",
        "--timezone=America/New_York",
        "--provider=idexx_neo",
        f"--base-url={simulator.base_url}",
    )
    assert done.exit_code == 0, done.output
    return SLUG


@pytest.fixture
def ready(pims: Pims, registered: str) -> str:
    """The slug of a clinic whose login is stored; its syncs cover yesterday to tomorrow."""
    store_login(pims, registered)
    done = pims("clinics", "schedule", registered, "--days-ahead=1", "--lookback-days=1")
    assert done.exit_code == 0, done.output
    return registered


@pytest.fixture
def logged_in(ready: str, engine: Engine, simulator: SimulatorServer) -> str:
    """The slug of a clinic whose session is stored, so that its sync needs no browser."""
    state = session_without_browser(simulator.base_url)
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, ready)
        put_session(connection, Vault.from_base64(KEY), clinic, state.data, state.expires_at)
    return ready
