"""From a POST to a run: its job and dates, and what is recorded if it does not start."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import QueuePool

from pims_pipeline.api import dagster_client as module
from pims_pipeline.api.services import services_of
from pims_pipeline.api.syncs.launching import RUN_SEARCH_DELAY
from pims_pipeline.api.syncs.status import LAUNCH_TIMEOUT
from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.fake_dagster import SECRET, Mood
from pims_pipeline_tests.api.support.sync_api import SyncApi

# At the clinic it is still the 9th.
NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(autouse=True)
def _one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search only once for a run whose launch got no response."""
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0)


STARTS: list[tuple[str, object, str, str, str, int | None]] = [
    ("inbound", None, "inbound", "2026-03-09", "2026-03-16", None),
    ("cases", {}, "cases", "2026-01-22", "2026-03-09", 5),
    ("reconcile", {}, "reconciliation", "2026-03-02", "2026-03-16", None),
    ("full", None, "full", "2026-03-02", "2026-03-16", 5),
    ("reconciliation", {"lookbackDays": 180}, "reconciliation", "2025-09-10", "2026-03-16", None),
    (
        "full",
        {"startDate": "2026-03-08", "lookbackDays": 3, "daysAhead": 0, "parallelBatchSize": 50},
        "full",
        "2026-03-06",
        "2026-03-09",
        50,
    ),
    ("inbound", {"daysAhead": 90}, "inbound", "2026-03-09", "2026-06-07", None),
    (
        "inbound",
        {"dateRange": {"start": "2026-01-01", "end": "2026-01-03"}},
        "inbound",
        "2026-01-01",
        "2026-01-03",
        None,
    ),
    (
        "inbound",
        {"startDate": "2026-01-01", "endDate": None, "daysAhead": 1},
        "inbound",
        "2026-01-01",
        "2026-03-10",
        None,
    ),
    (
        "cases",
        {"startDate": "2025-03-10", "endDate": "2026-03-10", "parallelBatchSize": 1},
        "cases",
        "2025-03-10",
        "2026-03-10",
        1,
    ),
]
"""Path and body; the run's phase, first and last date, and batch size."""

JOBS = {
    "inbound": "inbound_sync",
    "cases": "case_sync",
    "reconciliation": "reconciliation_sync",
    "full": "full_sync",
}


def test_each_endpoint_starts_its_job_over_its_dates(sync_api: SyncApi) -> None:
    [(key_id,)] = sync_api.rows("SELECT id FROM clinic_api_keys")
    for path, body, phase, first, last, batch in STARTS:
        sync_id, run = sync_api.started(path, body)

        options = {} if batch is None else {"parallel_batch_size": batch}
        config = {"ops": {"consultations": {"config": options}}} if options else {}
        assert (run.job, run.config) == (JOBS[phase], config), path
        assert run.tags == {
            "pims/origin": "api",
            "pims/phase": phase,
            "pims/clinic": "maple-street",
            "pims/clinic.maple-street": "yes",
            "pims/key_id": str(key_id),
            "pims/sync_id": str(sync_id),
            "dagster/asset_partition_range_start": f"maple-street|{first}",
            "dagster/asset_partition_range_end": f"maple-street|{last}",
        }
        [row] = sync_api.rows(
            "SELECT status, run_id, launched_at FROM sync_requests WHERE id = :id", id=sync_id
        )
        assert (row.status, row.run_id, row.launched_at) == ("launched", run.id, NOW)


BAD_BODIES = [
    ("inbound", {"startDate": "2026-3-9"}, "startDate: must be a date such as 2026-03-09"),
    ("inbound", {"startDate": "20260309"}, "startDate: must be a date such as 2026-03-09"),
    ("inbound", {"startDate": "2026-W10-1"}, "startDate: must be a date such as 2026-03-09"),
    ("inbound", {"startDate": "2026-02-30"}, "startDate: must be a date such as 2026-03-09"),
    ("inbound", {"endDate": "2026-03-09T00:00:00"}, "endDate: must be a date such as 2026-03-09"),
    ("inbound", {"endDate": 1773014400}, "endDate: must be a date such as 2026-03-09"),
    ("inbound", {"endDate": ""}, "endDate: must be a date such as 2026-03-09"),
    (
        "inbound",
        {"startDate": "2026-03-10", "endDate": "2026-03-09"},
        "endDate: must not be earlier than startDate",
    ),
    (
        "cases",
        {"startDate": "2025-03-09", "endDate": "2026-03-10"},
        "endDate: the range 2025-03-09..2026-03-10 has 367 days; at most 366 are allowed",
    ),
    (
        "full",
        {"startDate": "2025-03-09"},
        "startDate: the range 2025-03-09..2026-03-16 has 373 days; at most 366 are allowed",
    ),
    ("inbound", {"startDate": "2024-12-31"}, "startDate: must be a date from 2025-01-01 to "),
    ("inbound", {"endDate": "2026-06-10"}, "endDate: must be a date from 2025-01-01 to 2026-06-09"),
    (
        "inbound",
        {"startDate": "2026-03-17"},
        "endDate: must be given when startDate is later than 2026-03-16",
    ),
    (
        "full",
        {"endDate": "2026-03-01"},
        "startDate: must be given when endDate is earlier than 2026-03-02",
    ),
    ("inbound", {"daysAhead": -1}, "daysAhead: Input should be greater than or equal to 0"),
    ("inbound", {"daysAhead": 91}, "daysAhead: Input should be less than or equal to 90"),
    ("inbound", {"daysAhead": "7"}, "daysAhead: Input should be a valid integer"),
    ("inbound", {"daysAhead": 7.5}, "daysAhead: Input should be a valid integer"),
    ("inbound", {"daysAhead": True}, "daysAhead: Input should be a valid integer"),
    ("inbound", {"daysAhead": None}, "daysAhead: Input should be a valid integer"),
    ("cases", {"parallelBatchSize": 0}, "parallelBatchSize: Input should be greater than"),
    ("cases", {"parallelBatchSize": 51}, "parallelBatchSize: Input should be less than"),
    ("reconcile", {"lookbackDays": 0}, "lookbackDays: Input should be greater than"),
    ("reconcile", {"lookbackDays": 181}, "lookbackDays: Input should be less than"),
    ("inbound", {"daysAhed": 7}, "Unknown field: daysAhed"),
    ("inbound", {"lookbackDays": 7}, "Unknown field: lookbackDays"),
    (
        "inbound",
        {"endDate": "2026-03-10", "dateRange": {"start": "2026-03-09"}},
        "dateRange: must not be given with startDate or endDate",
    ),
    ("cases", {"dateRange": {"start": "9 March"}}, "dateRange.start: must be a date such as"),
    ("cases", {"dateRange": {"from": "2026-03-09"}}, "Unknown field: dateRange.from"),
    ("full", {"dateRange": "2026-03-09"}, "dateRange: Input should be"),
    ("full", {"dateRange": {"end": "2024-12-31"}}, "dateRange.end: must be a date from 2025-01-01"),
    (
        "inbound",
        {"dateRange": {"start": "2026-03-17"}},
        "dateRange.end: must be given when dateRange.start is later than 2026-03-16",
    ),
    ("reconcile", {"dateRange": {}}, "Unknown field: dateRange"),
    ("reconcile", {"startDate": "2026-03-09"}, "Unknown field: startDate"),
    ("inbound", {"start_date": "2026-03-09"}, "Unknown field: start_date"),
    ("full", {"a": 1, "b": 2, "daysAhead": 99}, "Unknown fields: a, b"),
    ("full", [], "The body must be a JSON object"),
    ("full", "{}", "The body must be a JSON object"),
]


def test_the_error_of_an_invalid_body_names_the_field(sync_api: SyncApi) -> None:
    found = {}
    for path, body, text in BAD_BODIES:
        response = sync_api.post(path, body)
        found[path, str(body), text] = (response.status_code, response.json().get("error", ""))

    unexpected = {
        request: (status, error)
        for request, (status, error) in found.items()
        if status != 400 or request[2] not in error
    }
    assert unexpected == {}
    assert sync_api.fake.runs == {}
    assert sync_api.rows("SELECT FROM sync_requests") == []


def nothing_recorded(sync_api: SyncApi) -> bool:
    left = ("sync_requests", "idempotency_keys")
    return not any(sync_api.rows(f"SELECT FROM {table}") for table in left)


def test_if_dagster_starts_no_run_no_request_is_recorded(sync_api: SyncApi) -> None:
    sent = {"Idempotency-Key": "k", "Prefer": "wait=60"}
    sync_api.fake.mood = Mood.REFUSES
    refused = sync_api.post("inbound", headers=sent)
    assert nothing_recorded(sync_api)
    sync_api.fake.stop()
    unreachable = sync_api.post("inbound", headers=sent)
    assert nothing_recorded(sync_api)

    for response in (refused, unreachable):
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert response.json()["error"] == "Dagster cannot start the sync now; try again later"
        assert SECRET not in response.text


def test_a_run_whose_launch_got_no_response_belongs_to_the_sync(sync_api: SyncApi) -> None:
    for sync_api.fake.mood in (Mood.BREAKS_AFTER, Mood.HANGS_UP):
        sync_id, run = sync_api.started()
        assert sync_api.status(sync_id)["links"]["run"].endswith(f"/runs/{run.id}")


def test_a_launch_of_unknown_outcome_is_reported_and_adopted_once_its_run_is_found(
    sync_api: SyncApi, clock: Clock
) -> None:
    sync_api.fake.mood = Mood.HANGS_UP_BEFORE
    response = sync_api.post("inbound", headers={"Idempotency-Key": "k"})
    assert response.status_code == 503
    assert "It is not known whether" in response.json()["error"]
    [(sync_id,)] = sync_api.rows("SELECT id FROM sync_requests WHERE status = 'launching'")
    assert sync_api.status(sync_id)["links"]["run"] is None

    run = sync_api.fake.make_run(**{SYNC_ID_TAG: str(sync_id)})
    assert sync_api.status(sync_id)["links"]["run"] is None
    clock.now += RUN_SEARCH_DELAY
    body = sync_api.status(sync_id)

    assert body["links"]["run"] == f"http://dagster.example/runs/{run.id}"
    assert body["status"] == "queued"
    [row] = sync_api.rows("SELECT status, run_id FROM sync_requests")
    assert (row.status, row.run_id) == ("launched", run.id)


def test_a_launch_without_a_run_has_failed_after_the_timeout(
    sync_api: SyncApi, clock: Clock
) -> None:
    sync_api.fake.mood = Mood.BREAKS
    sync_api.post("inbound")
    [(sync_id,)] = sync_api.rows("SELECT id FROM sync_requests")

    assert sync_api.status(sync_id)["status"] == "queued"
    clock.now += LAUNCH_TIMEOUT + timedelta(seconds=1)

    assert sync_api.status(sync_id)["status"] == "failed"
    [listed] = sync_api.get("/api/sync").json()["syncs"]
    assert (listed["syncId"], listed["status"]) == (str(sync_id), "failed")


def during(sync_api: SyncApi, send: Callable[[], Any], inspect: Callable[[], object]) -> Any:
    """Return the response of a POST; ``inspect`` runs during its launch."""
    sync_api.fake.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(send)
        assert sync_api.fake.launching.wait(30)
        inspect()
        sync_api.fake.gate.set()
        return future.result(30)


def test_the_request_is_recorded_before_the_launch_and_holds_no_connection_during_it(
    sync_api: SyncApi,
) -> None:
    pool = sync_api.context.engine.pool
    assert isinstance(pool, QueuePool)
    seen: list[object] = []

    def inspect() -> None:
        seen.append(pool.checkedout())
        seen.extend(tuple(row) for row in sync_api.rows("SELECT status, run_id FROM sync_requests"))

    response = during(sync_api, lambda: sync_api.post("inbound"), inspect)

    assert seen == [0, ("launching", None)]
    assert response.status_code == 202


def test_a_sync_is_queued_while_it_is_being_launched(sync_api: SyncApi) -> None:
    bodies: list[Any] = []

    def inspect() -> None:
        [(sync_id,)] = sync_api.rows("SELECT id FROM sync_requests")
        bodies.append(sync_api.status(sync_id))

    during(sync_api, lambda: sync_api.post("inbound"), inspect)

    assert [(each["status"], each["links"]["run"]) for each in bodies] == [("queued", None)]


def test_a_waiting_request_holds_no_connection_and_returns_the_result(sync_api: SyncApi) -> None:
    pool = sync_api.context.engine.pool
    assert isinstance(pool, QueuePool)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(sync_api.post, "full", None, {"Prefer": "wait=100"})
        assert sync_api.fake.launching.wait(30)
        polled = _until_polled(sync_api)
        sync_api.complete(sync_api.fake.run)
        response = future.result(30)

    assert polled
    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=100"
    body = response.json()
    assert body["success"] is True
    assert set(body) >= {"inboundResult", "casesResult", "reconciliationResult"}
    assert sync_api.status(body["syncId"])["result"] == body


def _until_polled(sync_api: SyncApi) -> bool:
    """Whether the waiting request has read the state of the run twice."""
    tried = threading.Event()
    for _ in range(300):
        if sync_api.fake.queries.count("Find") >= 2:
            return True
        tried.wait(0.05)
    return False


def test_a_wait_that_times_out_returns_202(sync_api: SyncApi) -> None:
    response = sync_api.post("inbound", headers={"Prefer": "wait=1"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=1"
    assert response.json()["status"] == "queued"


def test_a_failed_sync_is_a_result_too(sync_api: SyncApi) -> None:
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(sync_api.post, "inbound", None, {"Prefer": "wait=100"})
        assert _until_polled(sync_api)
        audit_id = sync_api.begin(sync_api.fake.run)
        sync_api.fail(audit_id, "HumanNeeded: the vendor asks for a code")
        sync_api.fake.run.status = "FAILURE"
        response = future.result(30)

    assert response.status_code == 200
    body = response.json()
    assert (body["success"], body["error"]) == (False, "HumanNeeded: the vendor asks for a code")


def test_waiting_ends_when_the_process_shuts_down(sync_api: SyncApi) -> None:
    sync_api.context.stopping.set()

    response = sync_api.post("inbound", headers={"Prefer": "wait=100"})

    assert response.status_code == 202


def test_without_a_free_slot_the_response_comes_at_once(
    sync_api: SyncApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(sync_api.api.app, FastAPI)
    syncs = services_of(sync_api.api.app).syncs
    monkeypatch.setattr(syncs.watcher._room, "_places", 1)
    with syncs.watcher._room.place():
        response = sync_api.post("inbound", headers={"Prefer": "wait=100"})

    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers
    assert sync_api.post("inbound", headers={"Prefer": "wait=1"}).headers["Preference-Applied"]
