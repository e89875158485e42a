"""Who may read ``/metrics``, and that a scrape has the values of the store and of Dagster."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.dagster_client import DagsterUnreachable
from pims_pipeline.api.monitoring.dagster_state import DagsterState
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import finish_audit, start_audit
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline_tests.adoption.ways import leave_comparison
from pims_pipeline_tests.api.support.stubbed_app import (
    LOOPBACK,
    NOW,
    StubDagster,
    client_of,
    context_of,
)

API_PAGE = Path(__file__).parents[3] / "docs" / "api.md"
TOKEN = "a-token-of-some-length"
ELSEWHERE = ("192.0.2.7", 50_000)
LABELS = {"clinic", "phase", "status", "kind", "state", "source", "route", "method", "le", "what"}


@pytest.fixture
def dagster() -> Iterator[StubDagster]:
    with closing(StubDagster()) as dagster:
        dagster.counts = DagsterState(
            queued=2, running=1, daemon_seen_at=NOW.timestamp() - 90, alerts_evaluated_at=2e12
        )
        yield dagster


@pytest.fixture
def nowhere() -> Engine:
    """An engine on a database that refuses every connection."""
    return create_engine("postgresql://reader:hidden@127.0.0.1:9/nothing")


@pytest.fixture
def client(api_engine: Engine, dagster: StubDagster) -> TestClient:
    return client_of(create_app(context_of(api_engine, dagster)))


def scrape(client: TestClient) -> dict[tuple[str, ...], float]:
    """All samples by name and labels' values, in the order of the labels' names."""
    response = client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def _sync(engine: Engine, clinic: Clinic) -> None:
    day = date(2026, 3, 9)
    with transaction(engine) as connection:
        audit_id = start_audit(
            connection,
            clinic=clinic,
            sync_type=Phase.INBOUND,
            window=DateRange(day, day),
            run_id="run-1",
            owner=1,
            now=NOW,
        )
        finish_audit(
            connection,
            audit_id,
            status=AuditStatus.COMPLETED,
            counts=Counts(),
            fetched_at=None,
            now=NOW + timedelta(seconds=4),
        )


def test_a_scrape_covers_all_clinics_with_the_rights_of_one(
    engine: Engine, client: TestClient, clinic: Clinic
) -> None:
    _sync(engine, clinic)
    found = scrape(client)
    assert found["pims_syncs_total", clinic.slug, "inbound", "completed"] == 1
    assert found["pims_syncs_total", clinic.slug, "inbound", "failed"] == 0
    assert found["pims_sync_duration_seconds_sum", "inbound"] == 4
    assert found["pims_open_holds", clinic.slug] == 0
    assert found["pims_last_success_age_seconds", clinic.slug, "inbound"] > 0
    assert found["pims_dagster_runs", "queued"] == 2
    assert found["pims_dagster_runs", "running"] == 1
    assert found["pims_daemon_age_seconds", "heartbeat"] == 90
    assert found["pims_daemon_age_seconds", "alerts"] == 0
    assert found["pims_scrape_success", "database"] == 1
    assert found["pims_scrape_success", "dagster"] == 1


def test_without_dagster_its_runs_are_absent_and_the_rest_is_there(
    client: TestClient, clinic: Clinic, dagster: StubDagster
) -> None:
    dagster.error = DagsterUnreachable("at dagster.internal:3000")
    found = scrape(client)
    assert not any(name in {"pims_dagster_runs", "pims_daemon_age_seconds"} for name, *_ in found)
    assert found["pims_scrape_success", "dagster"] == 0
    assert found["pims_open_holds", clinic.slug] == 0


def test_without_the_database_the_scrape_reports_it(nowhere: Engine, dagster: StubDagster) -> None:
    client = client_of(create_app(context_of(nowhere, dagster)))
    found = scrape(client)
    assert found["pims_scrape_success", "database"] == 0
    assert found["pims_dagster_runs", "queued"] == 2
    assert not any(name == "pims_open_alerts" for name, *_ in found)


def test_requests_are_counted_by_route_and_unknown_paths_as_one(client: TestClient) -> None:
    for path in ("/health", "/nothing/here", "/nothing/there"):
        client.get(path)
    found = scrape(client)
    assert found["pims_api_requests_total", "GET", "/health", "200"] == 1
    assert found["pims_api_requests_total", "GET", "unmatched", "404"] == 2


def test_no_label_holds_personal_data(engine: Engine, client: TestClient, clinic: Clinic) -> None:
    _sync(engine, clinic)
    client.get("/nothing/Jane-Doe")
    text = client.get("/metrics").text
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= LABELS
    assert clinic.name not in text
    assert "Jane-Doe" not in text


def test_with_a_token_metrics_can_be_read_from_anywhere(
    nowhere: Engine, dagster: StubDagster
) -> None:
    app = create_app(context_of(nowhere, dagster, metrics_token=TOKEN))
    sent = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.9"}
    assert client_of(app, ELSEWHERE).get("/metrics", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {},
        *({"Authorization": value} for value in ("Bearer no", TOKEN, f"Basic {TOKEN}", "Bearer é")),
    ],
    ids=["none", "wrong", "bare", "other scheme", "not ASCII"],
)
def test_without_the_token_metrics_are_refused_even_on_this_machine(
    nowhere: Engine, dagster: StubDagster, sent: dict[str, str]
) -> None:
    app = create_app(context_of(nowhere, dagster, metrics_token=TOKEN))
    raw = {name.encode(): value.encode("latin-1") for name, value in sent.items()}
    response = client_of(app, LOOPBACK).get("/metrics", headers=raw)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"] == "Missing or wrong bearer token"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_this_machine_may_read(
    nowhere: Engine, dagster: StubDagster, host: str
) -> None:
    app = create_app(context_of(nowhere, dagster))
    assert client_of(app, (host, 50_000)).get("/metrics").status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "a-socket"])
def test_without_a_token_no_other_machine_may(
    nowhere: Engine, dagster: StubDagster, host: str
) -> None:
    app = create_app(context_of(nowhere, dagster))
    response = client_of(app, (host, 50_000)).get("/metrics")
    assert response.status_code == 403
    assert response.json()["error"] == (
        "Only this machine may read metrics; set PIMS_METRICS_TOKEN to read them elsewhere"
    )


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"]
)
def test_without_a_token_a_proxy_on_this_machine_may_not(
    nowhere: Engine, dagster: StubDagster, header: str
) -> None:
    client = client_of(create_app(context_of(nowhere, dagster)))
    assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403


def test_each_metric_and_its_labels_are_documented(
    engine: Engine, client: TestClient, clinic: Clinic
) -> None:
    _sync(engine, clinic)
    leave_comparison(engine, clinic, 0)
    client.get("/health")
    exported = {
        # A counter's family has its name without the ending.
        family.name + ("_total" if family.type == "counter" else ""): {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in text_string_to_metric_families(client.get("/metrics").text)
        if family.name.startswith("pims_")
    }
    rows = re.findall(r"^\| `(pims_\w+)` \| ([^|]*) \|", API_PAGE.read_text("utf-8"), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert exported == documented


def test_metrics_are_documented_with_examples(nowhere: Engine, dagster: StubDagster) -> None:
    client = client_of(create_app(context_of(nowhere, dagster)))
    responses = client.get("/openapi.json").json()["paths"]["/metrics"]["get"]["responses"]
    assert "pims_syncs_total" in responses["200"]["content"]["text/plain"]["example"]
    assert {
        status: response["content"]["application/json"]["example"]["success"]
        for status, response in responses.items()
        if status != "200"
    } == {"401": False, "403": False}
