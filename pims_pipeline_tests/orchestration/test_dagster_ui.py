"""The Dagster UI in a real browser, with the webserver and the daemon of ``pims up``.

One test for all, because starting the processes takes longest.
"""

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pims_pipeline.cli.demo.clinics import register_demo_clinics
from pims_pipeline.cli.runtime import open_store
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import DEMO_CLINICS, SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.clinics import set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline_tests.cli.processes import output_until, own_home, started
from pims_pipeline_tests.orchestration.dagster_ui import DagsterUI, open_dagster_ui

TODAY = datetime.now(UTC).date()
DAY = (TODAY - timedelta(days=3)).isoformat()
WEEK = ((TODAY - timedelta(days=9)).isoformat(), DAY)
BROKEN = "1002"
"""The vendor asks this clinic for a code at its login."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with running_simulator(SimulatorConfig(clinics=DEMO_CLINICS)) as server:
        yield server


@pytest.fixture
def home(simulator: SimulatorServer) -> Iterator[Path]:
    """A home with three clinics whose schedules are off, so that only the test starts runs."""
    off = ScheduleConfig(sync_schedules=dict.fromkeys(Phase, "off"))
    with own_home() as home:
        with open_store(Settings(home=home), migrated=False) as store:
            migrate(store.engine)
            clinics = register_demo_clinics(store, simulator.base_url)
            with transaction(store.engine) as connection:
                for each in clinics:
                    set_schedule_config(connection, each.clinic, off)
        yield home


@pytest.fixture
def ui(home: Path) -> Iterator[DagsterUI]:
    port, api_port = free_port(), free_port()
    with started(home, "up", f"--port={port}", f"--api-port={api_port}") as process:
        output_until(process, "Ctrl-C stops everything.")
        with open_dagster_ui(f"http://127.0.0.1:{port}") as ui:
            yield ui


# It waits for servers and runs, on a machine that may run other tests too.
@pytest.mark.timeout(600)
def test_an_operator_opens_the_lineage_materializes_a_day_and_backfills_a_week(
    ui: DagsterUI, simulator: SimulatorServer
) -> None:
    ui.open_lineage()
    for asset in ("vendor_calendar", "appointments", "consultations", "reconciliation", "cases"):
        ui.wait_for(asset)

    ui.materialize_one("appointments", "demo-riverbend", DAY)
    ui.open_partitions("appointments")
    ui.wait_for_partitions("Materialized", 1)
    ui.open_partitions("appointments", f"demo-riverbend|{DAY}")
    ui.wait_for_parts("audit_id", "found", "created")
    ui.take_screenshot("one-partition")

    with closing(SimulatorControl(simulator.base_url)) as vendor:
        vendor.login_mode(BROKEN, "code")
    ui.backfill_everything(*WEEK)
    for asset in ("appointments", "consultations", "reconciliation"):
        ui.open_partitions(asset)
        ui.wait_for_partitions("Materialized", 14)
        ui.wait_for_partitions("Failed", 7)
        ui.take_screenshot(f"{asset}-of-a-week")
    ui.open_lineage()
    ui.wait_until_loaded()
    ui.take_screenshot("lineage")
