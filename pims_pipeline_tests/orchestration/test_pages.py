"""Dagster's real pages in a real browser, with its webserver and daemon beside it.

One start of everything for all that a person does there: starting costs more than looking.
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
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.clinics import set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline_tests.cli.processes import own_home, started, told_until
from pims_pipeline_tests.orchestration.pages import Pages, browsed

TODAY = datetime.now(UTC).date()
DAY = (TODAY - timedelta(days=3)).isoformat()
WEEK = ((TODAY - timedelta(days=9)).isoformat(), DAY)
BROKEN = "1002"
"""The vendor wants a code of this clinic, which only a person can give."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with running_simulator() as server:
        yield server


@pytest.fixture
def home(simulator: SimulatorServer) -> Iterator[Path]:
    """A home with three clinics whose schedules are off, so that people alone start runs."""
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
def pages(home: Path) -> Iterator[Pages]:
    port, api_port = free_port(), free_port()
    with started(home, "up", f"--port={port}", f"--api-port={api_port}") as process:
        told_until(process, "Ctrl-C stops everything.")
        with browsed(f"http://127.0.0.1:{port}") as pages:
            yield pages


# It waits for servers to start and for runs, on machines that are busy with other tests too.
@pytest.mark.timeout(600)
def test_a_person_follows_the_lineage_materializes_a_day_and_backfills_a_week(
    pages: Pages, simulator: SimulatorServer
) -> None:
    pages.open_lineage()
    for asset in ("vendor_calendar", "appointments", "consultations", "reconciliation", "cases"):
        pages.shows(asset)

    pages.materialize_one("appointments", "demo-riverbend", DAY)
    pages.open_partitions("appointments")
    pages.partitions_come_to("Materialized", 1)
    pages.open_partitions("appointments", f"demo-riverbend|{DAY}")
    pages.shows_among("audit_id", "found", "created")
    pages.photograph("one-partition")

    with closing(SimulatorControl(simulator.base_url)) as vendor:
        vendor.login_mode(BROKEN, "code")
    pages.backfill_everything(*WEEK)
    for asset in ("appointments", "consultations", "reconciliation"):
        pages.open_partitions(asset)
        pages.partitions_come_to("Materialized", 14)
        pages.partitions_come_to("Failed", 7)
        pages.photograph(f"{asset}-of-a-week")
    pages.open_lineage()
    pages.settles()
    pages.photograph("lineage")
