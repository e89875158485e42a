"""What a sensor's evaluation costs when nothing is due: few statements, no new connection."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import dagster as dg
import pytest
from sqlalchemy import Engine, event

from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.errors import DatabaseUnavailable
from pims_pipeline.store.database.kept_store import KeptStore
from pims_pipeline_tests.orchestration.deployment import SLUGS, START, DagsterDeployment, days

MOST = {"clinic_partitions": 2, "scheduled_syncs": 5, "freshness": 6, "alerting": 14, "webhooks": 2}
"""The most statements on the database of cases, by sensor."""


@contextmanager
def on_the_store() -> Iterator[list[str]]:
    """Records the statements and new connections of the pipeline's driver."""
    seen: list[str] = []

    def sent(connection: object, _cursor: object, sql: str, *_: object) -> None:
        if connection.dialect.driver == "psycopg":  # type: ignore[attr-defined]  # SQLAlchemy's
            seen.append(sql)

    def opened(connection: object, _record: object) -> None:
        if type(connection).__module__.startswith("psycopg."):
            seen.append("a new connection")

    event.listen(Engine, "before_cursor_execute", sent)
    event.listen(Engine, "connect", opened)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", sent)
        event.remove(Engine, "connect", opened)


def evaluate(
    deployment: DagsterDeployment, definitions: dg.Definitions, name: str, cursor: str | None = None
) -> str | None:
    """Evaluate a sensor as the code server does, with the resources of the code location."""
    repository = definitions.get_repository_def()
    sensor = repository.get_sensor_def(name)
    resources = repository.get_top_level_resources()
    with dg.build_sensor_context(
        instance=deployment.instance,
        cursor=cursor,
        resources={key: resources[key] for key in sensor.required_resource_keys},
    ) as context:
        return sensor.evaluate_tick(context).cursor


@pytest.mark.parametrize("name", MOST)
def test_an_evaluation_with_nothing_due_sends_few_statements(
    deployment: DagsterDeployment, name: str
) -> None:
    register_clinics(deployment.instance, SLUGS)
    cursor = evaluate(deployment, deployment.definitions, name)
    with on_the_store() as seen:
        evaluate(deployment, deployment.definitions, name, cursor)
    assert "a new connection" not in seen
    assert 1 < len(seen) <= MOST[name], seen


def test_sensors_open_the_store_once_and_runs_open_their_own(
    deployment: DagsterDeployment, sources: Sources
) -> None:
    opened: list[str] = []

    @contextmanager
    def store() -> Iterator[Engine]:
        opened.append("store")
        with sources.open_store() as engine:
            yield engine

    definitions = code_location(replace(sources, open_store=store), partition_start=START)
    for name in (*MOST, *MOST):
        evaluate(deployment, definitions, name)
    assert opened == ["store"]

    deployment = replace(deployment, definitions=definitions)
    assert deployment.sync("inbound_sync", ["alder"], days(0, 0)).success
    assert opened == ["store", "store"]


def test_a_store_that_was_migrated_is_opened_again(deployment: DagsterDeployment) -> None:
    opened: list[str] = []

    @contextmanager
    def store() -> Iterator[Engine]:
        opened.append("store")
        yield deployment.engine

    kept = KeptStore(store)
    assert kept.engine() is kept.engine() is deployment.engine
    assert opened == ["store"]

    deployment.run("UPDATE pims_alembic_version SET version_num = 'newer'")
    kept.engine()
    assert opened == ["store", "store"]


def test_a_store_that_cannot_be_reached_is_opened_again(deployment: DagsterDeployment) -> None:
    nowhere = create_engine("postgresql://pims@127.0.0.1:1/nothing")
    engines = iter([nowhere, deployment.engine])
    kept = KeptStore(lambda: nullcontext(next(engines)))

    with pytest.raises(DatabaseUnavailable):
        kept.engine()
    assert kept.engine() is deployment.engine
