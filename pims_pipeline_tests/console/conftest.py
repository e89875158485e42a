"""The console beside the API over a real database, connected as the API's own role."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.console.app import mount_console
from pims_pipeline.console.context import ConsoleContext, IdentityProxy
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.operators import passwords
from pims_pipeline.operations.operators.accounts import create_operator
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline_tests.console.browsers import ADDRESS, PASSWORD, Browser, SignIn
from pims_pipeline_tests.console.runs import NotedRuns
from pims_pipeline_tests.databases import Engines

Build = Callable[..., FastAPI]


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes that cost a millisecond."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)
    passwords._unused_hash.cache_clear()
    yield
    passwords._unused_hash.cache_clear()


@pytest.fixture
def api_engine(engine: Engine, engines: Engines) -> Iterator[Engine]:
    """Connects to the test's database as the API does, with one connection."""
    with engines.lent(let_api_log_in(engine), pool_size=1) as api_engine:
        yield api_engine


@pytest.fixture
def runs() -> NotedRuns:
    """What the console starts."""
    return NotedRuns()


@pytest.fixture
def build(api_engine: Engine, runs: NotedRuns) -> Iterator[Build]:
    """Builds the API with the console in it."""
    with closing(DagsterClient("http://127.0.0.1:9")) as dagster:

        def built(proxy: IdentityProxy | None = None) -> FastAPI:
            app = create_app(
                ApiContext(
                    engine=api_engine,
                    dagster=dagster,
                    dagster_ui_url="http://dagster.example",
                    partition_start=date(2025, 1, 1),
                    requests_per_minute=1000,
                )
            )
            mount_console(
                app,
                ConsoleContext(
                    engine=api_engine,
                    dagster_ui_url="http://dagster.example",
                    runs=runs,
                    partition_start=date(2025, 1, 1),
                    proxy=proxy,
                ),
            )
            return app

        yield built


@pytest.fixture
def app(build: Build) -> FastAPI:
    """The API with the console in it."""
    return build()


def browser_of(app: FastAPI, address: str = ADDRESS, client: str = "203.0.113.7") -> Browser:
    """A browser without cookies, at ``client``."""
    return Browser(
        TestClient(
            app,
            base_url=address,
            follow_redirects=False,
            raise_server_exceptions=False,
            client=(client, 50_000),
        )
    )


@pytest.fixture
def browser(app: FastAPI) -> Browser:
    """A browser in which no one is signed in."""
    return browser_of(app)


@pytest.fixture
def sign_in(app: FastAPI, engine: Engine) -> SignIn:
    """Adds an operator, and signs in."""

    def signed_in(name: str, role: OperatorRole, *slugs: str) -> Browser:
        create_operator(engine, name, password=PASSWORD, role=role, slugs=slugs)
        browser = browser_of(app)
        assert browser.sign_in(name).status_code == 303
        return browser

    return signed_in


@pytest.fixture
def other_clinic(engine: Engine) -> Clinic:
    """A second clinic."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="oak-lane",
            name="Oak Lane Veterinary",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
