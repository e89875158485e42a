"""A simulated day of a clinic, whose responses are the examples of the OpenAPI document.

The simulator, the adapter, the phases, the store and the API are real; Dagster is the fake, and
the login needs no browser. The clock moves only in steps, and random ids are replaced by numbered
ones, so that each run yields the same examples.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import PimsError
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, SimulatorConfig
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import reconcile_cases
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, FakeRun
from pims_pipeline_tests.api.support.sync_api import PHASES_OF_JOB, SyncApi
from pims_pipeline_tests.providers.stopping import eventually
from pims_pipeline_tests.reliability.clinic.adapters import BrowserlessNeo
from pims_pipeline_tests.reliability.clinic.servers import Clock, SharedServers, observe
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_VENDOR

MORNING = datetime(2026, 3, 9, 12, tzinfo=UTC)
"""Eight o'clock at the clinic."""
TODAY = date(2026, 3, 9)
COMPANY = DEFAULT_CLINICS[0]
PAGES = "http://127.0.0.1:3000"
TIMEOUT_SECONDS = 20
READ_SO_FAR = 5
VENDOR = "https://neo.example"

Json = dict[str, Any]
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class StillClock(Clock):
    """Moves by a microsecond with each reading, which no response shows."""

    def __call__(self) -> datetime:
        with self._lock:
            self.moment += timedelta(microseconds=1)
            return self.moment


class Neo(BrowserlessNeo):
    """The real adapter, with a callback before it reads each consultation."""

    def __init__(self, day: "Day") -> None:
        super().__init__(day.synced)
        self._day = day

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if self._day.before_record is not None:
            self._day.before_record()
        return super().fetch_consultation(appointment)


@dataclass
class Day:
    """The clinic, the API and the callback of the day."""

    synced: SyncedClinic
    api: SyncApi
    before_record: Callable[[], None] | None = None

    def pass_time(self, **duration: float) -> None:
        self.synced.servers.clock.forward(timedelta(**duration))

    def start(self, path: str, body: Json) -> tuple[Json, FakeRun]:
        """Start a sync; return the response and the run."""
        accepted = self.api.post(path, body)
        assert accepted.status_code == 202, accepted.text
        *_, run = self.api.fake.runs.values()
        self.pass_time(seconds=2)
        return accepted.json(), run

    def work(self, run: FakeRun) -> None:
        """Do the work of a run, as Dagster does it."""
        synced, window = self.synced, SyncApi.window_of(run)
        context = replace(synced.context(0), run_id=run.id, open_provider=lambda _: Neo(self))
        audit_ids = chain([self.api.sync_id_of(run)], repeat(None))
        run.status = "STARTED"
        with clinic_session(context, synced.clinic) as session:
            functions: Mapping[Phase, Callable[..., object]] = {
                Phase.INBOUND: sync_appointments,
                Phase.CASES: partial(enrich_cases, workers=1),
                Phase.RECONCILIATION: reconcile_cases,
            }
            try:
                for phase in PHASES_OF_JOB[run.job]:
                    audit_id = next(audit_ids)
                    functions[phase](context, synced.clinic, window, session, audit_id=audit_id)
            except PimsError:
                run.status = "FAILURE"
            else:
                run.status = "SUCCESS"


@contextmanager
def day(engine: Engine, vault: Vault, artifacts: Path) -> Iterator[Day]:
    """The morning on which a clinic is synced for the first time."""
    clock = StillClock(MORNING)
    config = SimulatorConfig(clock=clock, today=TODAY)
    with ExitStack() as stack:
        server = stack.enter_context(running_simulator(config))
        control = stack.enter_context(closing(SimulatorControl(server.base_url)))
        liveness = stack.enter_context(run_liveness(engine))
        observer = stack.enter_context(observe(engine))
        servers = SharedServers(
            engine, observer, vault, control, server.base_url, clock, liveness, artifacts
        )
        synced = _registered(servers)
        fake = stack.enter_context(FakeDagster())
        dagster = stack.enter_context(closing(DagsterClient(fake.url)))
        api_engine = create_engine(let_api_log_in(engine))
        stack.callback(api_engine.dispose)
        context = ApiContext(
            engine=api_engine,
            dagster=dagster,
            dagster_ui_url=PAGES,
            partition_start=date(2025, 1, 1),
            requests_per_minute=1000,
            clock=clock,
        )
        with transaction(engine) as connection:
            key = create_api_key(connection, synced.clinic, name="examples").text
        api = TestClient(create_app(context))
        yield Day(synced, SyncApi(engine, synced.clinic, context, fake, api, key))
        synced.end()


def _registered(servers: SharedServers) -> SyncedClinic:
    login = neo_credentials(COMPANY.username, COMPANY.password, COMPANY.company_id)
    with transaction(servers.engine) as connection:
        clinic = add_clinic(
            connection,
            slug="riverbend",
            name=COMPANY.name,
            timezone=COMPANY.timezone,
            provider_type="idexx_neo",
            provider_base_url=servers.base_url,
        )
        put_credentials(connection, servers.vault, clinic, login.to_mapping())
    week = DateRange(TODAY, TODAY + timedelta(days=7))
    at, timeout = EVERY_VENDOR["idexx_neo"], TIMEOUT_SECONDS
    return SyncedClinic(servers, at, COMPANY, clinic, TODAY, week, week, read_timeout=timeout)


def examples(engine: Engine, vault: Vault, artifacts: Path) -> Json:
    """Return the responses of that day, by name."""
    with day(engine, vault, artifacts) as today:
        found = _played(today)
        vendor = today.synced.servers.base_url
    return _with_stable_ids(found, vendor)


def _played(today: Day) -> Json:
    synced, api = today.synced, today.api
    synced.on_response = lambda endpoint: today.pass_time(
        milliseconds={"listing": 1700, "consultation": 120, "appointment": 90}[endpoint]
    )
    running = _running(today)

    today.pass_time(hours=2)
    book = synced.servers.control.book
    appointment = book(
        COMPANY.company_id,
        synced.local(0, 14, 30),
        patient_name="Biscuit",
        client_name="Example Client",
        type="Wellness",
        status="confirmed",
    )
    accepted, inbound = today.start("inbound", {"daysAhead": 7})
    today.work(inbound)
    completed = api.status(accepted["syncId"])
    page = api.get("/api/sync").json()

    today.pass_time(hours=4)
    synced.vendor("move", appointment.id, synced.local(1, 9))
    synced.vendor("delete", _a_later_appointment(today))
    accepted_full, run = today.start("full", {"lookbackDays": 7, "daysAhead": 7})
    today.work(run)
    full = api.status(accepted_full["syncId"])["result"]

    today.pass_time(hours=1)
    failed = _failed(today)
    [case] = api.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment.id)
    return {
        "accepted": accepted,
        "inbound": completed["result"],
        "full": full,
        "running": running,
        "completed": completed,
        "failed": failed,
        "page": page,
        "provenance": _with_stable_times(api.get(f"/api/cases/{case.id}/provenance").json()),
        "changes": _two_changes(api),
    }


def _two_changes(api: SyncApi) -> Json:
    """The feed's last page of two: its numbers are those of an empty database."""
    *_, before, _, _ = api.rows("SELECT seq FROM case_events ORDER BY seq")
    return dict(api.get(f"/api/changes?after={before.seq}&limit=2").json())


def _a_later_appointment(today: Day) -> str:
    appointments = today.synced.servers.control.appointments(
        COMPANY.company_id, TODAY + timedelta(days=2), TODAY + timedelta(days=2)
    )
    return next(each.id for each in appointments if each.kind == "appointment" and not each.deleted)


def _running(today: Day) -> Json:
    """The status of the first sync while it reads consultations."""
    found: list[Json] = []
    read = itertools.count()
    accepted, run = today.start("full", {"lookbackDays": 7, "daysAhead": 7})

    def has_progressed() -> bool:
        progress = today.api.status(accepted["syncId"])["progress"]
        return (progress["phase"], progress["itemsDone"]) == ("cases", READ_SO_FAR)

    def read_status() -> None:
        if next(read) == READ_SO_FAR:
            eventually(has_progressed, TIMEOUT_SECONDS)
            found.append(today.api.status(accepted["syncId"]))

    today.before_record = read_status
    today.work(run)
    today.before_record = None
    [running] = found
    return running


def _failed(today: Day) -> Json:
    today.synced.servers.control.add_fault("html", endpoint="listing", times=None)
    accepted, run = today.start("inbound", {"daysAhead": 7})
    today.work(run)
    return dict(today.api.status(accepted["syncId"]))


def _with_stable_times(provenance: Json) -> Json:
    """Replace the times of decryptions, which are of the database's clock, by the event's."""
    for event in provenance["events"]:
        for access in event["credentialAccesses"]:
            access["accessedAt"] = event["occurredAt"]
    return provenance


def _with_stable_ids(found: Json, vendor: str) -> Json:
    """Replace random ids by numbered ones, and the simulator's address by the vendor's."""
    known: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return known.setdefault(match[0], str(uuid5(NAMESPACE_URL, f"example:{len(known)}")))

    def renamed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: renamed(each) for name, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        if isinstance(value, str):
            return _UUID.sub(number, value.replace(vendor, VENDOR))
        return value

    return {name: renamed(each) for name, each in found.items()}
