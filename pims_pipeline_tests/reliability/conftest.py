"""The servers that these tests share: one database and one simulator for each test process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.databases import database_copied_from
from pims_pipeline_tests.reliability.clinic.servers import Clock, SharedServers, observe
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_CLINIC


@pytest.fixture(scope="session")
def shared_servers(
    server_url: str, vault: Vault, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedServers]:
    clock = Clock()
    config = SimulatorConfig(clinics=EVERY_CLINIC, appointments_per_day=0, clock=clock)
    artifacts: Path = tmp_path_factory.mktemp("artifacts")
    with database_copied_from("pims", server_url) as url, running_simulator(config) as server:
        engine = create_engine(url)
        with (
            closing(SimulatorControl(server.base_url)) as control,
            run_liveness(engine) as liveness,
            observe(engine) as observer,
        ):
            yield SharedServers(
                engine, observer, vault, control, server.base_url, clock, liveness, artifacts
            )
        engine.dispose()


@pytest.fixture
def servers(shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch) -> SharedServers:
    """The servers; look-ups run one at a time, so that a program is reproducible."""
    monkeypatch.setattr("pims_pipeline.sync.phases.lookups.LOOKUP_WORKERS", 1)
    return shared_servers
