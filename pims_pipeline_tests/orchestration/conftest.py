"""Fixtures: three clinics, their fake vendors, and the code location over them."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.storage.sql import create_engine
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.orchestration.instance import dagster_environment, open_instance
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.dagster.schema import dagster_storage_url, ensure_dagster_schema
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.databases import Databases
from pims_pipeline_tests.orchestration.deployment import SLUGS, START, DagsterDeployment
from pims_pipeline_tests.orchestration.harness import MINUTE, NOON, SensorHarness, plan
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.store.dagster_template import dagster_template


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of this test process, with Dagster's tables."""
    with ExitStack() as stack:
        yield Databases(dagster_template(server_url), server_url, stack)


@pytest.fixture
def clinics(engine: Engine, vault: Vault) -> dict[str, Clinic]:
    zones = dict(zip(SLUGS, ("America/New_York", "Europe/Berlin", "Pacific/Auckland"), strict=True))
    with transaction(engine) as connection:
        found = {
            slug: add_clinic(
                connection,
                slug=slug,
                name=slug.title(),
                timezone=zone,
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
            for slug, zone in zones.items()
        }
        for clinic in found.values():
            put_credentials(
                connection, vault, clinic, FakeVendor(clinic.zone).credentials.to_mapping()
            )
    return found


@pytest.fixture
def vendors(clinics: dict[str, Clinic]) -> dict[str, FakeVendor]:
    return {slug: FakeVendor(clinic.zone) for slug, clinic in clinics.items()}


@pytest.fixture
def sources(engine: Engine, vault: Vault, vendors: dict[str, FakeVendor]) -> Sources:
    @contextmanager
    def store() -> Iterator[Engine]:
        yield engine

    return Sources(
        open_store=store,
        open_vault=lambda: vault,
        open_provider=lambda clinic: FakeProvider(vendors[clinic.slug]),
    )


def _engine_with_pool(url: str, **_: object) -> Engine:
    """An engine of Dagster's that keeps its connections; by itself it opens one for each event."""
    return create_engine(url, poolclass=QueuePool, connect_args={"check_same_thread": False})


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    # A later upgrade begins where the stamps say. In memory none follows, and Dagster loads all its
    # migrations for them, which takes longer than many of these tests.
    for storage in ("runs", "event_log"):
        stamp = f"dagster._core.storage.{storage}.in_memory.stamp_alembic_rev"
        monkeypatch.setattr(stamp, lambda *_: None)
        opens = f"dagster._core.storage.{storage}.in_memory.create_engine"
        monkeypatch.setattr(opens, _engine_with_pool)
    with DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def postgres_instance(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    ensure_dagster_schema(engine)
    url = dagster_storage_url(database_url)
    for name in dagster_environment(tmp_path, url):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
    with open_instance(tmp_path, url) as instance:
        yield instance


@pytest.fixture
def deployment(
    engine: Engine,
    instance: DagsterInstance,
    sources: Sources,
    clinics: dict[str, Clinic],
    vendors: dict[str, FakeVendor],
) -> DagsterDeployment:
    definitions = code_location(sources, partition_start=START)
    return DagsterDeployment(engine, instance, definitions, clinics, vendors)


@pytest.fixture
def harness(deployment: DagsterDeployment) -> SensorHarness:
    """Three clinics in New York's zone, whose calendars are due every full hour."""
    deployment.run("UPDATE clinics SET timezone = 'America/New_York'")
    deployment.clinics.update(
        {
            slug: replace(clinic, timezone="America/New_York")
            for slug, clinic in deployment.clinics.items()
        }
    )
    for slug in SLUGS:
        plan(deployment, slug, inbound="0 * * * *")
    register_clinics(deployment.instance, SLUGS)
    return SensorHarness(deployment, cursor=(NOON - MINUTE).isoformat())


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Captures warnings, even after a test that raised the log level."""
    caplog.set_level(logging.WARNING)
    return caplog
