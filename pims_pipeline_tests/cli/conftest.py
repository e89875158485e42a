"""``pims`` as a function, on a database and in a home directory of the test's own."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, select

from pims_pipeline.cli.main import main
from pims_pipeline.settings import variable_names
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorConfig, SimulatorServer, running_simulator
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.all import metadata
from pims_pipeline_tests.providers.simulated_login import session_without_browser

KEY = base64.b64encode(secrets.token_bytes(32)).decode()
SLUG = "riverbend"
PASSWORD = "demo-1001"


class Pims(Protocol):
    """Runs a command; keyword arguments are environment variables, None unsets one."""

    def __call__(
        self, *args: str, typed: str | bytes | None = None, **env: str | None
    ) -> Result: ...


@pytest.fixture
def pims(database_url: str, tmp_path: Path) -> Iterator[Pims]:
    """The command line, on the test's database."""
    settings: dict[str, str | None] = {
        **dict.fromkeys(variable_names().values()),
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
    # A sync tells the Dagster in its process where its storage is.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    """The pretend vendor, with six appointments a day."""
    with running_simulator(SimulatorConfig(appointments_per_day=6)) as server:
        yield server


@pytest.fixture
def control(simulator: SimulatorServer) -> Iterator[SimulatorControl]:
    """The vendor's strings, let go of after the test."""
    with closing(SimulatorControl(simulator.base_url)) as control:
        yield control
        control.reset()


@pytest.fixture
def registered(pims: Pims, simulator: SimulatorServer) -> str:
    """The slug of a clinic at the pretend vendor, without a login."""
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


def store_login(pims: Pims, slug: str, password: str = PASSWORD) -> None:
    """Store the simulator's login."""
    done = pims(
        "credentials",
        "set",
        slug,
        "--company-id=1001",
        "--username=demo",
        "--password-stdin",
        typed=password,
    )
    assert done.exit_code == 0, done.output


def document(result: Result) -> Any:
    """The one JSON document on standard output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def complaint(result: Result) -> str:
    """The one line that a failed command says, on standard error."""
    assert result.exit_code in {1, 2}, result.output
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert len(lines) == 1, result.stderr
    return lines[0]


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all our tables, to see that nothing changed."""
    with transaction(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
