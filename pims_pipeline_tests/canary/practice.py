"""Clinics whose logins, clients and notes are canaries, at a simulated vendor.

``Practice`` runs commands, Dagster runs and API requests for them, and adds what these produce to
the evidence. Faults and assertions belong in the tests.
"""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import dagster as dg
import httpcore2
import pytest
from click.testing import CliRunner, Result
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.origin import JobPythonOrigin
from dagster._grpc.types import ExecuteRunArgs
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine, Row, make_url, text
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.cli.main import main
from pims_pipeline.dagster_names import (
    DEFINITIONS_ATTRIBUTE,
    DEFINITIONS_MODULE,
    clinic_tags,
    range_tags,
)
from pims_pipeline.definitions import build_definitions
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.orchestration.instance import dagster_environment, open_instance
from pims_pipeline.orchestration.partitions import boxes, register_clinics
from pims_pipeline.settings import Settings, variable_names
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.clinics import active_clinics, add_clinic, clinic_by_slug
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.api.support.recorded import RecordedResponse, ResponseRecorder
from pims_pipeline_tests.canary.canaries import Canary, canary, secret_canary
from pims_pipeline_tests.canary.evidence import Evidence, logging_left_as_found
from pims_pipeline_tests.canary.people import People
from pims_pipeline_tests.cli.processes import TIMEOUT_SECONDS, environment
from pims_pipeline_tests.databases import database_copied_from
from pims_pipeline_tests.providers.simulated_login import session_without_browser

COMPANIES = 120
UNREACHABLE = "http://127.0.0.1:9"
ZONE = "Europe/Berlin"
Endpoint = Literal["listing", "consultation", "appointment"]


class Api(NamedTuple):
    """The API and a client of it.

    Attributes:
        login: The API's password to the database.
    """

    app: FastAPI
    client: TestClient
    login: Canary


@dataclass
class Practice:
    """The clinics, their database and their vendor.

    Attributes:
        url: The address of the database; its password is a canary.
        companies: The vendor's side of the clinics that were opened, by slug.
    """

    url: str
    engine: Engine
    home: Path
    simulator: SimulatorServer
    control: SimulatorControl
    evidence: Evidence
    people: People
    username: Canary
    password: Canary
    database_password: Canary
    key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    companies: dict[str, SimulatedClinic] = field(default_factory=dict)

    @property
    def secrets(self) -> list[Canary]:
        """What nothing may show, the cookies of the stored sessions included."""
        vault_key = secret_canary("encryption key", self.key)
        return [
            self.username,
            self.password,
            self.database_password,
            vault_key,
            secret_canary("encryption key in bytes", base64.b64decode(self.key).hex()),
            *self._cookies(),
        ]

    @property
    def vault(self) -> Vault:
        return Vault.from_base64(self.key)

    @property
    def days(self) -> DateRange:
        """Yesterday to tomorrow, in the vendor's time zone."""
        today = self.control.clinics()[0].today
        return DateRange(today - timedelta(days=1), today + timedelta(days=1))

    def rows(self, statement: str, **parameters: object) -> list[Row[tuple[object, ...]]]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text(statement), parameters).all())

    def run(self, statement: str, **parameters: object) -> None:
        with transaction(self.engine) as connection:
            connection.execute(text(statement), parameters)

    def open_clinic(self, slug: str, *, logged_in: bool = False) -> SimulatedClinic:
        """Register a clinic with its login, and a session if wanted; returns the vendor's side."""
        company = self.simulator.config.clinics[len(self.companies)]
        self.companies[slug] = company
        with transaction(self.engine) as connection:
            clinic = add_clinic(
                connection,
                slug=slug,
                name=slug.title(),
                timezone=ZONE,
                provider_type="idexx_neo",
                provider_base_url=self.simulator.base_url,
            )
            fields = {
                "company_id": company.company_id,
                "username": company.username,
                "password": company.password,
            }
            put_credentials(connection, self.vault, clinic, fields)
            if logged_in:
                state = session_without_browser(self.simulator.base_url, company)
                put_session(connection, self.vault, clinic, state.data, state.expires_at)
        return company

    def enter_login(self, slug: str, password: str) -> Result:
        """Store a clinic's login as an operator does."""
        company_id = self.companies[slug].company_id
        return self.pims(
            *("credentials", "set", slug, "--password-stdin"),
            *(f"--company-id={company_id}", f"--username={self.username.text}"),
            typed=password,
        )

    def book(self, slug: str, day: date, hour: int) -> str:
        """Book and finish an appointment; returns its id at the vendor."""
        company_id = self.companies[slug].company_id
        people, start = self.people, datetime.combine(day, time(hour))
        booked = self.control.book(
            company_id, start, patient_name=people.patient.text, client_name=people.client.text
        )
        self.control.finish(company_id, booked.id, people.note.text)
        return booked.id

    def add_fault(
        self, slug: str, kind: str, endpoint: Endpoint, appointment_id: str | None = None
    ) -> None:
        """Apply a fault to every request of the clinic at that endpoint, from now on."""
        self.control.add_fault(
            kind,
            endpoint=endpoint,
            company_id=self.companies[slug].company_id,
            times=None,
            retry_after=0.01,
            appointment_id=appointment_id,
        )

    def refuse_rows_of(self, slug: str) -> None:
        """Make the database refuse the clinic's cases, with errors that quote the rows."""
        [(clinic_id,)] = self.rows("SELECT id FROM clinics WHERE slug = :slug", slug=slug)
        self.run(
            "ALTER TABLE cases ADD CONSTRAINT of_a_test "
            f"CHECK (clinic_id <> '{clinic_id}') NOT VALID"
        )

    def pims(self, *words: str, typed: str | None = None, **more: str) -> Result:
        """Run a command; add what it prints and logs to the evidence."""
        settings: dict[str, str | None] = {
            **dict.fromkeys(variable_names().values()),
            **self._variables(),
            "PIMS_HOME": str(self.home),
            "LOG_LEVEL": "DEBUG",
            **more,
        }
        with logging_left_as_found(), pytest.MonkeyPatch.context() as left_as_found:
            # A sync sets these variables for Dagster in its own process.
            for name in dagster_environment(self.home, ""):
                left_as_found.setenv(name, "")
            done = CliRunner().invoke(main, words, input=typed, env=settings)
        name = " ".join(("pims", *words[:2]))
        self.evidence.add(f"printed by {name}", done.stdout)
        self.evidence.add(f"log of {name}", done.stderr)
        return done

    def sync_in_another_process(self, slugs: Sequence[str], **more: str) -> dg.DagsterRun:
        """Run all phases in a process, as Dagster's daemon does; returns the ended run."""
        storage = dagster_storage_url(self.url)
        ensure_dagster_schema(self.engine)
        settings = Settings(database_url=SecretStr(self.url), encryption_key=SecretStr(self.key))
        job = build_definitions(settings).get_repository_def().get_job("full_sync")
        code = ReconstructableRepository.for_module(DEFINITIONS_MODULE, DEFINITIONS_ATTRIBUTE)
        origin = JobPythonOrigin("full_sync", code.get_python_origin())
        variables = dagster_environment(self.home, storage)
        with pytest.MonkeyPatch.context() as left_as_found:
            for name in variables:
                left_as_found.setenv(name, "")
            with open_instance(self.home, storage) as instance:
                register_clinics(instance, slugs)
                [box] = boxes(instance, slugs)
                tags = {**job.run_tags, **clinic_tags(slugs), **range_tags(box, self.days)}
                run = instance.create_run_for_job(job_def=job, tags=tags, job_code_origin=origin)
                execution = ExecuteRunArgs(origin, run.run_id, instance.get_ref())
                done = subprocess.run(  # noqa: S603 - this interpreter, Dagster's own arguments
                    [sys.executable, "-m", *execution.get_command_args()],
                    env=environment(self.home, **self._variables(), **variables, **more),
                    capture_output=True,
                    check=False,
                    timeout=TIMEOUT_SECONDS,
                )
                ended = instance.get_run_by_id(run.run_id)
        self.evidence.add("printed by the run", done.stdout)
        self.evidence.add("log of the run", done.stderr)
        assert ended is not None
        return ended

    @contextmanager
    def api(self, dagster_url: str = UNREACHABLE, database_url: str | None = None) -> Iterator[Api]:
        """The API in this process, on this database or another; its responses are evidence."""
        with ExitStack() as stack:
            login = canary("API's login")
            url = database_url or _with_password(let_api_log_in(self.engine), login)
            engine = create_engine(url)
            stack.callback(engine.dispose)
            context = ApiContext(
                engine=engine,
                dagster=stack.enter_context(closing(DagsterClient(dagster_url))),
                dagster_ui_url="http://dagster.example",
                partition_start=self.days.start - timedelta(days=60),
                requests_per_minute=1_000_000,
            )
            heard: list[RecordedResponse] = []
            app = create_app(context)
            app.add_middleware(ResponseRecorder, recorded=heard)
            client = TestClient(app, client=("127.0.0.1", 50_000), raise_server_exceptions=False)
            yield Api(app, client, login)
            for each in heard:
                head = "\n".join(f"{name}: {value}" for name, value in each.headers.items())
                place = f"response of {each.method} {each.route or 'no route'}"
                self.evidence.add(place, f"{head}\n\n{each.text}")

    def make_api_key(self, slug: str) -> str:
        """Create an API key with all permissions; returns its text."""
        with transaction(self.engine) as connection:
            clinic = clinic_by_slug(connection, slug)
            return create_api_key(
                connection, clinic, name="a test's", permissions=(), expires_at=None
            ).text

    def add_stored_data(self) -> None:
        """Add the database, its server's log and the files under ``home`` to the evidence."""
        self.evidence.add_database(self.engine)
        self.evidence.add_files(self.home)
        socket = make_url(self.url).query["host"]
        self.evidence.add("log of the database", Path(str(socket), "log").read_bytes())

    def _variables(self) -> dict[str, str]:
        return {"PIMS_DATABASE_URL": self.url, "ENCRYPTION_KEY": self.key}

    def _cookies(self) -> Iterator[Canary]:
        with transaction(self.engine) as connection:
            for clinic in active_clinics(connection):
                kept = read_session(connection, self.vault, clinic, purpose="test", run_id=None)
                for cookie in json.loads(kept.data)["cookies"] if kept else ():
                    yield secret_canary(
                        f"cookie {cookie['name']} of {clinic.slug}", cookie["value"]
                    )


@contextmanager
def new_practice(server_url: str, home: Path) -> Iterator[Practice]:
    """A practice without clinics, in a new database on the test run's server."""
    people = People.new()
    username, password = canary("username", "{}@vets"), canary("password", 'pä"ss {} %41&<\\n>')
    database_password = canary("database password")
    companies = tuple(
        SimulatedClinic(
            company_id=str(1001 + number),
            name=f"Company {number}",
            timezone=ZONE,
            username=username.text,
            password=password.text,
        )
        for number in range(COMPANIES)
    )
    config = SimulatorConfig(clinics=companies, appointments_per_day=5)
    with ExitStack() as stack:
        left_as_found = stack.enter_context(pytest.MonkeyPatch.context())
        # Loading the root certificates for each client takes longer than a phase.
        certificates = cache(httpcore2.default_ssl_context)
        left_as_found.setattr(httpcore2, "default_ssl_context", certificates)
        people.fill_simulator(left_as_found)
        bare = stack.enter_context(database_copied_from("pims", server_url))
        url = _with_password(bare, database_password)
        server = stack.enter_context(running_simulator(config))
        control = stack.enter_context(closing(SimulatorControl(server.base_url)))
        engine = create_engine(url)
        stack.callback(engine.dispose)
        yield Practice(
            url=url,
            engine=engine,
            home=home,
            simulator=server,
            control=control,
            evidence=Evidence(),
            people=people,
            username=username,
            password=password,
            database_password=database_password,
        )


def _with_password(url: str, password: Canary) -> str:
    """The address with a password; the test run's server checks none."""
    return make_url(url).set(password=password.text).render_as_string(hide_password=False)
