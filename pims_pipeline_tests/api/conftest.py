"""The API over a real database, connected as its own role; with keys and a clock."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.api_keys import create_api_key
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster
from pims_pipeline_tests.api.support.keys import MakeKey
from pims_pipeline_tests.api.support.sync_api import SyncApi
from pims_pipeline_tests.databases import Engines


@pytest.fixture
def api_engine(engine: Engine, engines: Engines) -> Iterator[Engine]:
    """Connects to the test's database as the API does."""
    with engines.lent(let_api_log_in(engine)) as api_engine:
        yield api_engine


@pytest.fixture
def clock() -> Clock:
    """The application's clock; begins at the present."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def dagster() -> Iterator[DagsterClient]:
    """A Dagster that cannot be reached."""
    with closing(DagsterClient("http://127.0.0.1:9")) as dagster:
        yield dagster


@pytest.fixture
def context(api_engine: Engine, dagster: DagsterClient, clock: Clock) -> ApiContext:
    """What the application is built with."""
    return ApiContext(
        engine=api_engine,
        dagster=dagster,
        dagster_ui_url="http://dagster.example",
        partition_start=date(2025, 1, 1),
        requests_per_minute=1000,
        clock=clock,
    )


@pytest.fixture
def app(context: ApiContext) -> FastAPI:
    """The application."""
    return create_app(context)


@pytest.fixture
def api(app: FastAPI) -> TestClient:
    """A client of the application."""
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def make_key(engine: Engine, clinic: Clinic) -> MakeKey:
    """Makes keys of the clinic, or of another."""
    owner = clinic

    def make(
        *permissions: str,
        clinic: Clinic | None = None,
        expires_at: datetime | None = None,
        wait_seconds: int | None = None,
    ) -> str:
        with transaction(engine) as connection:
            return create_api_key(
                connection,
                clinic or owner,
                name="a test's",
                permissions=permissions,
                expires_at=expires_at,
                wait_seconds=wait_seconds,
            ).text

    return make


@pytest.fixture
def sync_api(
    engine: Engine, clinic: Clinic, context: ApiContext, make_key: MakeKey
) -> Iterator[SyncApi]:
    """The API with a fake Dagster that starts runs without executing them."""
    with FakeDagster() as fake, closing(DagsterClient(fake.url)) as dagster:
        beside = replace(context, dagster=dagster)
        api = TestClient(create_app(beside), raise_server_exceptions=False)
        yield SyncApi(engine, clinic, beside, fake, api, make_key())
