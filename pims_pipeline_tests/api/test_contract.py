"""The names of all fields: clients of the former service read these bodies.

Each name is repeated here, so that renaming one in the code fails a test. The models and examples
of the OpenAPI document are compared with real responses.
"""

import re
from collections.abc import Mapping
from typing import Any

import httpx2
from pydantic import BaseModel, TypeAdapter

from pims_pipeline.api import examples
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.wire.cases import Provenance
from pims_pipeline.wire.results import (
    AnyResult,
    CasesResult,
    FullResult,
    InboundResult,
    ReconciliationResult,
)
from pims_pipeline.wire.syncs import Accepted, SyncList, SyncStatus
from pims_pipeline_tests.api.support.fake_dagster import FakeRun
from pims_pipeline_tests.api.support.sync_api import SyncApi

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DATE = re.compile(r"\d{4}-\d\d-\d\d")

PHASE = {"success", "syncId", "stats", "dateRange", "durationMs", "timestamp"}
STATS = {
    "inbound": {
        "appointmentsFound",
        "casesCreated",
        "casesUpdated",
        "casesSkipped",
        "casesRestored",
        "quarantined",
        "leftOut",
    },
    "cases": {"casesFound", "casesEnriched", "casesSkipped", "casesErrored"},
    "reconcile": {"casesChecked", "casesDeleted", "casesUpdated", "casesHeld", "leftOut"},
}
RESULTS = {
    "inbound": PHASE,
    "cases": PHASE,
    "reconcile": PHASE | {"deletedCases"},
    "full": PHASE - {"stats"} | {"inboundResult", "casesResult", "reconciliationResult"},
}
SYNC = {"syncId", "syncType", "status", "dateRange", "links", "createdAt"}
MODELS: Mapping[str, type[BaseModel]] = {
    "inbound": InboundResult,
    "cases": CasesResult,
    "reconcile": ReconciliationResult,
    "full": FullResult,
}


def check_result(scope: str, result: Any) -> None:
    """Check all names and types of a result."""
    assert result.keys() - {"error"} == RESULTS[scope]
    assert isinstance(result["success"], bool)
    assert ("error" in result) is not result["success"]
    assert result["dateRange"].keys() == {"startDate", "endDate"}
    assert all(DATE.fullmatch(day) for day in result["dateRange"].values())
    assert isinstance(result["durationMs"], int)
    assert TIME.fullmatch(result["timestamp"])
    if scope == "full":
        check_result("inbound", result["inboundResult"])
        check_result("cases", result["casesResult"])
        check_result("reconcile", result["reconciliationResult"])
    else:
        assert result["stats"].keys() == STATS[scope]
        assert all(type(count) is int for count in result["stats"].values())
    MODELS[scope].model_validate(result)


def check_status(scope: str, body: Any, *more: str) -> None:
    """Check all names of the status of a sync."""
    assert body.keys() == SYNC | {"success", "timestamp"} | set(more)
    assert body["links"].keys() == {"self", "run"}
    assert body["dateRange"].keys() == {"startDate", "endDate"}
    assert TIME.fullmatch(body["createdAt"])
    assert TIME.fullmatch(body["timestamp"])
    if "result" in body:
        check_result(scope, body["result"])
    SyncStatus.model_validate(body)


FIRST_PHASES = {"cases": Phase.CASES, "reconcile": Phase.RECONCILIATION}


def check_accepted(response: httpx2.Response, run: FakeRun) -> None:
    """Check all names of the response to a POST."""
    accepted = response.json()
    assert response.status_code == 202
    assert response.headers["Content-Type"] == "application/json"
    assert accepted.keys() == {"success", "syncId", "status", "links", "timestamp"}
    assert (accepted["success"], accepted["status"]) == (True, "queued")
    assert accepted["links"] == {
        "self": f"/api/sync/{accepted['syncId']}",
        "run": f"http://dagster.example/runs/{run.id}",
    }
    assert response.headers["Location"] == accepted["links"]["self"]
    assert TIME.fullmatch(accepted["timestamp"])
    Accepted.model_validate(accepted)


def test_every_sync_s_bodies_have_exactly_the_names_that_clients_know(sync_api: SyncApi) -> None:
    for scope in RESULTS:
        response = sync_api.post(scope)
        *_, run = sync_api.fake.runs.values()
        check_accepted(response, run)
        sync_id = response.json()["syncId"]

        check_status(scope, sync_api.status(sync_id))
        audit_id = sync_api.begin(run, FIRST_PHASES.get(scope, Phase.INBOUND))
        running = sync_api.status(sync_id)
        check_status(scope, running, "progress")
        assert running["progress"].keys() == {"phase", "itemsDone", "itemsTotal"}
        sync_api.end(audit_id, Counts(), AuditStatus.COMPLETED)
        sync_api.complete(run)
        check_status(scope, sync_api.status(sync_id), "result")

    page = sync_api.get("/api/sync").json()
    assert page.keys() == {"success", "syncs", "nextCursor", "timestamp"}
    assert [each.keys() for each in page["syncs"]] == [SYNC] * len(RESULTS)
    SyncList.model_validate(page)


def test_a_failed_sync_has_the_same_names_and_a_reason(sync_api: SyncApi) -> None:
    for scope in RESULTS:
        sync_id, run = sync_api.started(scope)
        run.status = "FAILURE"
        check_status(scope, sync_api.status(sync_id), "result", "error")

    listed = sync_api.get("/api/sync").json()["syncs"]
    assert [each.keys() for each in listed] == [SYNC | {"error"}] * len(RESULTS)


def test_errors_are_an_envelope_of_three_names(sync_api: SyncApi) -> None:
    sync_api.post("inbound", headers={"Idempotency-Key": "k"})
    errors = {
        400: sync_api.post("inbound", {"daysAhead": 99}),
        401: sync_api.get("/api/sync", key="x"),
        404: sync_api.get(f"/api/cases/{examples.ACCEPTED['syncId']}/provenance"),
        422: sync_api.post("cases", headers={"Idempotency-Key": "k"}),
    }
    sync_api.fake.stop()
    errors[503] = sync_api.post("inbound")

    assert {status: response.status_code for status, response in errors.items()} == {
        status: status for status in errors
    }
    for response in errors.values():
        body = response.json()
        assert body.keys() == {"success", "error", "timestamp"}
        assert body["success"] is False
        assert TIME.fullmatch(body["timestamp"])


def test_the_examples_are_valid_responses() -> None:
    Accepted.model_validate(examples.ACCEPTED)
    check_result("inbound", examples.INBOUND)
    check_result("full", examples.FULL)
    SyncList.model_validate(examples.LIST)
    Provenance.model_validate(examples.PROVENANCE)
    check_status("inbound", examples.STATUS["running"], "progress")
    check_status("inbound", examples.STATUS["completed"], "result")
    check_status("inbound", examples.STATUS["failed"], "result", "error")


def test_the_models_distinguish_all_results() -> None:
    any_result: TypeAdapter[Any] = TypeAdapter(AnyResult)

    assert isinstance(any_result.validate_python(examples.INBOUND), InboundResult)
    assert isinstance(any_result.validate_python(examples.FULL), FullResult)
