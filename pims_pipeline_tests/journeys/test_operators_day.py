"""The Dagster UI and the console in a real browser, with all processes of ``pims up``.

One test for all, because starting the processes takes longest.
"""

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pims_pipeline.cli.demo.clinics import register_demo_clinics
from pims_pipeline.cli.runtime import open_store
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.settings import Settings
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import DEMO_CLINICS, SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.clinics import set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.migrate import migrate
from pims_pipeline_tests.cli.processes import output_until, own_home, started
from pims_pipeline_tests.journeys.console_pages import ConsolePages
from pims_pipeline_tests.journeys.dagster_ui import DagsterUI, open_dagster_ui

TODAY = datetime.now(UTC).date()
LAST = TODAY - timedelta(days=3)
DAY = LAST.isoformat()
WEEK = ((TODAY - timedelta(days=9)).isoformat(), DAY)
PATIENT, CLIENT = "Zoë 🐾 <script>alert(1)</script>", "Ann-Marie <b>O'Neil</b>"
NINE = time(9)
PASSWORD = "correct horse battery"
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
def api_port() -> int:
    return free_port()


@pytest.fixture
def ui(home: Path, api_port: int) -> Iterator[DagsterUI]:
    port = free_port()
    with started(home, "up", f"--port={port}", f"--api-port={api_port}") as process:
        output_until(process, "Ctrl-C stops everything.")
        with open_dagster_ui(f"http://127.0.0.1:{port}") as ui:
            yield ui


# It waits for servers and runs, on a machine that may run other tests too.
@pytest.mark.timeout(600)
def test_an_operator_syncs_a_week_follows_a_change_and_approves_a_hold(
    ui: DagsterUI, simulator: SimulatorServer, home: Path, api_port: int
) -> None:
    with closing(SimulatorControl(simulator.base_url)) as vendor:
        vendor.book("1001", datetime.combine(LAST, NINE), patient_name=PATIENT, client_name=CLIENT)
        materialize_a_day_and_backfill_a_week(ui, vendor)
        console = console_from_dagster(ui, home, f"http://127.0.0.1:{api_port}/console")
        follow_a_change_to_its_run_and_back(console)
        hold_and_approve_two_days(console, vendor)
        console.change_schedule("demo-riverbend", "Cases", "15 6 * * *")
        console.wait_for_text("The schedule is saved.")
        see_as_a_viewer(console)
    assert console.reported == []


def materialize_a_day_and_backfill_a_week(ui: DagsterUI, vendor: SimulatorControl) -> None:
    ui.open_lineage()
    for asset in ("vendor_calendar", "appointments", "consultations", "reconciliation", "cases"):
        ui.wait_for(asset)

    ui.materialize_one("appointments", "demo-riverbend", DAY)
    ui.open_partitions("appointments")
    ui.wait_for_partitions("Materialized", 1)
    ui.open_partitions("appointments", f"demo-riverbend|{DAY}")
    ui.wait_for_parts("audit_id", "found", "created")
    ui.take_screenshot("one-partition")

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


def console_from_dagster(ui: DagsterUI, home: Path, address: str) -> ConsolePages:
    """From a partition's metadata to what its sync changed, as an administrator."""
    for name, role in (("ann", OperatorRole.ADMIN), ("vic", OperatorRole.VIEWER)):
        with open_store(Settings(home=home)) as store:
            create_operator(store.engine, name, password=PASSWORD, role=role)
    ui.open_partitions("appointments", f"demo-riverbend|{DAY}")
    console = ConsolePages(ui.open_console("/changes/"), address)
    console.wait_for_heading("Sign in")
    console.sign_in("ann", PASSWORD)
    console.wait_for_heading("What this sync changed")
    return console


def follow_a_change_to_its_run_and_back(console: ConsolePages) -> None:
    console.find_case("o'neil", PATIENT)
    console.wait_for_text(CLIENT)
    case = console.page.url
    console.take_screenshot("console-case")
    console.follow_to_dagster()
    console.page.get_by_text("Success").first.wait_for()
    back = DagsterUI(console.page, "").open_console("/console/runs/")
    expect(back.get_by_role("heading", name="Syncs of a run")).to_be_visible()
    back.get_by_role("link", name="inbound: what it changed").first.click()
    back.get_by_role("link", name=PATIENT).click()
    expect(back).to_have_url(case)
    back.close()


def hold_and_approve_two_days(console: ConsolePages, vendor: SimulatorControl) -> None:
    first = LAST - timedelta(days=1)
    for each in vendor.appointments("1001", first, LAST):
        if not each.deleted:
            vendor.delete("1001", each.id)

    console.reconcile("demo-riverbend", first, LAST)
    console.wait_until_ended("held")
    console.approve("demo-riverbend", "the clinic was closed")
    console.wait_until_ended("completed")

    console.open_the_hold()
    console.wait_for_text("approved by ann")
    console.wait_for_text("“the clinic was closed”")
    console.take_screenshot("console-hold")


def see_as_a_viewer(console: ConsolePages) -> None:
    """What an administrator could do is not there, nor can it be sent."""
    console.sign_out()
    console.sign_in("vic", PASSWORD)
    for path, notice in (
        ("/clinics/demo-riverbend/sync", "Your role here only sees."),
        ("/clinics/demo-riverbend/schedule", "Your role here only sees schedules."),
        ("/holds?clinic=demo-riverbend", "No deletions wait for a decision."),
    ):
        console.open(path)
        console.wait_for_text(notice)
    assert console.sent_as_a_form("/clinics/demo-riverbend/sync", scope="full") == 403
    assert console.sent_as_a_form("/clinics/demo-riverbend/schedule", do="save") == 403
