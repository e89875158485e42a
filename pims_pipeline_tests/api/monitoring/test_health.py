"""``/health``, ``/ready`` and ``/``: that the process is alive, and that what it needs works."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version

import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterRefused, DagsterUnreachable
from pims_pipeline.api.monitoring import readiness
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.migrate import alembic_config
from pims_pipeline_tests.api.support.stubbed_app import (
    StubDagster,
    client_of,
    context_of,
)
from pims_pipeline_tests.databases import administer

OK = {"status": "ok"}
CHECKS = {"database": OK, "migrations": OK, "dagster": OK}
ALL_WELL = {"ready": True, "checks": CHECKS}


@pytest.fixture
def dagster() -> Iterator[StubDagster]:
    with closing(StubDagster()) as dagster:
        yield dagster


@pytest.fixture
def context(api_engine: Engine, dagster: StubDagster) -> ApiContext:
    return context_of(api_engine, dagster)


@pytest.fixture
def client(context: ApiContext) -> TestClient:
    return client_of(create_app(context))


def failed(detail: str) -> dict[str, str]:
    return {"status": "failed", "detail": detail}


def test_the_process_is_alive_whatever_else_fails(dagster: StubDagster) -> None:
    dagster.error = DagsterUnreachable("no")
    gone = create_engine("postgresql://reader@127.0.0.1:9/nothing")
    response = client_of(create_app(context_of(gone, dagster))).get("/health")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "healthy"
    assert body["checks"] == [
        {"name": "database", **failed("cannot reach the database")},
        {"name": "migrations", **failed("cannot reach the database")},
        {"name": "dagster", **failed("cannot reach Dagster")},
    ]


def test_the_health_has_the_names_that_clients_of_the_v4_service_read(client: TestClient) -> None:
    body = client.get("/health").json()
    assert body == {
        "status": "healthy",
        "service": "pims-pipeline",
        "version": version("pims-pipeline"),
        "timestamp": "2026-03-09T14:00:00.000Z",
        "uptime_seconds": body["uptime_seconds"],
        "checks": [{"name": name, "status": "ok"} for name in CHECKS],
    }
    assert type(body["uptime_seconds"]) is int
    assert body["uptime_seconds"] >= 0


def test_a_check_that_hangs_delays_the_health_by_half_a_second_and_is_unknown(
    client: TestClient, dagster: StubDagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readiness._GLANCE_SECONDS == 0.5
    monkeypatch.setattr(readiness, "_GLANCE_SECONDS", 0.05)
    released = threading.Event()
    dagster.wait = lambda: released.wait(30)
    try:
        responses = [client.get("/health") for _ in range(3)]
    finally:
        released.set()
    assert [each.status_code for each in responses] == [200] * 3
    assert responses[-1].json()["checks"][-1] == {"name": "dagster", "status": "unknown"}
    assert dagster.calls == 1


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html"])
def test_a_program_gets_the_service_card(client: TestClient, accept: str | None) -> None:
    response = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.headers["Vary"]) == (200, "Accept")
    card = response.json()
    assert card.keys() == {"service", "version", "description", "links", "timestamp"}
    assert (card["service"], card["version"]) == ("pims-pipeline", version("pims-pipeline"))
    assert {client.get(path).status_code for path in card["links"].values()} == {200}


def test_a_browser_gets_a_page_without_scripts_whose_links_work(client: TestClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    response = client.get("/", headers={"Accept": accept})
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    links = re.findall(r'<a href="([^"]+)">', response.text)
    assert len(links) == 3
    assert {client.get(f"/{each}").status_code for each in links} == {200}
    assert "<script" not in response.text


def test_all_checks_pass_if_everything_works(client: TestClient) -> None:
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (200, ALL_WELL)


def test_an_unreachable_database_is_reported_without_its_host(dagster: StubDagster) -> None:
    gone = create_engine("postgresql://reader:hidden@127.0.0.1:9/nothing")
    response = client_of(create_app(context_of(gone, dagster))).get("/ready")
    down = failed("cannot reach the database")
    assert (response.status_code, response.json()) == (
        503,
        {"ready": False, "checks": {"database": down, "migrations": down, "dagster": OK}},
    )


def test_a_login_with_other_rights_fails_the_check_of_the_database(
    engine: Engine, dagster: StubDagster
) -> None:
    response = client_of(create_app(context_of(engine, dagster))).get("/ready")
    assert response.status_code == 503
    assert response.json()["checks"] == {
        "database": failed("the API's login has other rights than it should; see the log"),
        "migrations": OK,
        "dagster": OK,
    }


def test_tables_of_an_older_program_fail_the_check_of_the_migrations(
    engine: Engine, client: TestClient
) -> None:
    config = alembic_config()
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == failed(
        "the tables are not this program's; run `pims migrate`"
    )


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (DagsterUnreachable("at dagster.internal:3000"), "cannot reach Dagster"),
        (DagsterRefused("PythonError"), "Dagster has not loaded the pipeline"),
        (TimeoutError(), "no response within 3 seconds"),
        (ValueError("at dagster.internal:3000"), "it fails; see the log"),
    ],
)
def test_the_state_of_dagster_is_reported_in_fixed_texts(
    client: TestClient, dagster: StubDagster, error: Exception, detail: str
) -> None:
    dagster.error = error
    response = client.get("/ready")
    assert (response.status_code, response.json()) == (
        503,
        {"ready": False, "checks": {"database": OK, "migrations": OK, "dagster": failed(detail)}},
    )


def test_a_process_that_shuts_down_is_not_ready(client: TestClient, context: ApiContext) -> None:
    context.stopping.set()
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "checks": {**CHECKS, "process": failed("the process is ending")},
    }


def test_probes_need_no_key_and_are_not_limited(client: TestClient) -> None:
    assert {client.get("/health").status_code for _ in range(200)} == {200}
    assert client.get("/ready", headers={"X-API-Key": "nonsense"}).status_code == 200


def test_each_probe_is_documented_with_an_example(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    examples = {
        (path, status): response["content"]["application/json"]["example"]
        for path in ("/health", "/ready")
        for status, response in paths[path]["get"]["responses"].items()
    }
    assert examples.keys() == {("/health", "200"), ("/ready", "200"), ("/ready", "503")}
    assert examples["/ready", "200"] == ALL_WELL


def test_readiness_opens_a_new_connection(
    engine: Engine, context: ApiContext, client: TestClient, database_url: str
) -> None:
    # Open connections keep working; only new ones are refused.
    assert client.get("/ready").json() == ALL_WELL
    name = sql.Identifier(str(engine.url.database))
    administer(database_url, sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(name))
    try:
        checks = client_of(create_app(context)).get("/ready").json()["checks"]
    finally:
        administer(database_url, sql.SQL("ALTER DATABASE {} CONNECTION LIMIT -1").format(name))
    full = failed("the database has no connection left")
    assert checks == {"database": full, "migrations": OK, "dagster": OK}


def test_a_search_path_that_the_apis_role_gave_itself_breaks_nothing(
    api_engine: Engine, client: TestClient, engine: Engine, database_url: str
) -> None:
    name = str(engine.url.database)
    itself = sql.SQL("ALTER ROLE pims_api IN DATABASE {} ").format(sql.Identifier(name))
    with transaction(api_engine) as connection:
        connection.execute(
            text(f'ALTER ROLE pims_api IN DATABASE "{name}" SET search_path = nowhere')
        )
    api_engine.dispose()
    try:
        assert client.get("/ready").json() == ALL_WELL
        with transaction(api_engine) as connection:
            assert connection.scalar(text("SELECT count(*) FROM cases")) == 0
    finally:
        administer(database_url, itself + sql.SQL("RESET ALL"))
