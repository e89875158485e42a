"""``GET /api/sync``: the status of one sync, and the list; each for its own clinic only."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event

from pims_pipeline.api.syncs.status import AUDIT_TIMEOUT
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.keys import MakeKey
from pims_pipeline_tests.api.support.sync_api import SyncApi


@pytest.fixture
def other(engine: Engine) -> Clinic:
    """Another clinic."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="elsewhere",
            name="Elsewhere Veterinary",
            timezone="Europe/Berlin",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )


@pytest.fixture
def statements(sync_api: SyncApi) -> Iterator[list[str]]:
    """The statements that the API executes."""
    executed: list[str] = []

    def note(*arguments: Any) -> None:
        executed.append(arguments[2])

    event.listen(sync_api.context.engine, "before_cursor_execute", note)
    yield executed
    event.remove(sync_api.context.engine, "before_cursor_execute", note)


def test_the_status_of_a_sync_from_its_start_to_its_end(sync_api: SyncApi, clock: Clock) -> None:
    sync_id, run = sync_api.started("full")
    queued = sync_api.status(sync_id)
    inbound = sync_api.begin(run)
    sync_api.progress(inbound, 3, 40)
    running = sync_api.status(sync_id)
    clock.advance(seconds=5)
    sync_api.end(inbound, Counts(found=40, created=40), AuditStatus.COMPLETED)
    for phase in (Phase.CASES, Phase.RECONCILIATION):
        sync_api.end(sync_api.begin(run, phase), Counts(), AuditStatus.COMPLETED)
    checking = sync_api.status(sync_id)
    run.status = "SUCCESS"
    completed = sync_api.status(sync_id)

    assert inbound == sync_id
    assert [each["status"] for each in (queued, running, checking, completed)] == [
        "queued",
        "running",
        "running",
        "completed",
    ]
    assert running["progress"] == {"phase": "inbound", "itemsDone": 3, "itemsTotal": 40}
    assert completed["syncType"] == "full"
    assert completed["result"]["inboundResult"]["stats"]["casesCreated"] == 40
    assert completed["result"]["syncId"] == completed["syncId"] == str(sync_id)
    assert completed["links"] == {
        "self": f"/api/sync/{sync_id}",
        "run": f"http://dagster.example/runs/{run.id}",
    }


def test_an_ended_sync_is_returned_in_the_same_bytes_by_one_query_and_without_dagster(
    sync_api: SyncApi, clock: Clock, statements: list[str]
) -> None:
    sync_id, run = sync_api.started("reconcile")
    sync_api.complete(run)
    first = sync_api.get(f"/api/sync/{sync_id}")
    sync_api.fake.stop()
    clock.advance(days=3)
    sync_api.get("/api/sync")
    statements.clear()

    again = sync_api.get(f"/api/sync/{sync_id}")

    assert (again.content, again.json()["status"]) == (first.content, "completed")
    ours = [each for each in statements if "pims_" not in each.split("(")[0]]
    assert [each.split()[0] for each in ours if "pims.clinic_id" not in each] == ["SELECT"]


def test_a_run_that_ends_before_its_first_audit_has_failed(sync_api: SyncApi) -> None:
    for status, text in (("FAILURE", "the run failed"), ("CANCELED", "the run was canceled")):
        sync_id, run = sync_api.started()
        run.status = status
        body = sync_api.status(sync_id)

        assert (body["status"], body["success"]) == ("failed", False)
        assert body["error"].startswith(text)
        assert body["result"]["error"] == body["error"]


def test_a_failed_check_is_named(sync_api: SyncApi) -> None:
    sync_id, run = sync_api.started()
    sync_api.complete(run)
    run.status, run.failed_steps = "FAILURE", ("appointments_snapshot_complete",)

    body = sync_api.status(sync_id)

    assert body["status"] == "failed"
    assert "appointments_snapshot_complete" in body["error"]


def test_a_sync_with_held_deletions_is_held(sync_api: SyncApi) -> None:
    sync_id, run = sync_api.started("reconcile")
    audit_id = sync_api.begin(run, Phase.RECONCILIATION)
    sync_api.end(audit_id, Counts(found=20, unchanged=11, held=9), AuditStatus.HELD)
    run.status = "FAILURE"

    body = sync_api.status(sync_id)

    assert (body["status"], body["success"]) == ("held", False)
    assert "holds back 9 deletions" in body["error"]
    assert body["result"]["stats"]["casesHeld"] == 9


def test_without_dagster_the_audits_decide(sync_api: SyncApi) -> None:
    waiting, _ = sync_api.started()
    done, run = sync_api.started()
    sync_api.complete(run)
    sync_api.fake.stop()

    assert sync_api.status(waiting)["status"] == "queued"
    assert sync_api.status(done)["status"] == "completed"
    assert len(sync_api.get("/api/sync").json()["syncs"]) == 2


def test_a_killed_run_fails_the_sync_after_a_timeout(sync_api: SyncApi, clock: Clock) -> None:
    sync_id, run = sync_api.started()
    sync_api.begin(run)
    run.status = "FAILURE"
    assert sync_api.status(sync_id)["status"] == "running"

    clock.now += AUDIT_TIMEOUT + timedelta(seconds=1)
    body = sync_api.status(sync_id)

    assert body["status"] == "failed"
    assert body["error"] == "the process that did it ended before it was done"


def test_a_scheduled_run_is_a_sync_too(sync_api: SyncApi) -> None:
    run = sync_api.fake.make_run(
        **{
            "dagster/asset_partition_range_start": "maple-street|2026-03-09",
            "dagster/asset_partition_range_end": "maple-street|2026-03-10",
        }
    )
    audit_id = sync_api.begin(run, Phase.CASES)
    sync_api.end(audit_id, Counts(found=2, enriched=2), AuditStatus.COMPLETED)

    body = sync_api.status(audit_id)

    assert (body["syncType"], body["status"]) == ("cases", "completed")
    assert body["dateRange"] == {"startDate": "2026-03-09", "endDate": "2026-03-10"}
    assert body["result"]["stats"]["casesEnriched"] == 2
    assert [each["syncId"] for each in sync_api.get("/api/sync").json()["syncs"]] == [str(audit_id)]


def test_no_clinic_can_read_another_clinic_s_syncs(
    sync_api: SyncApi, other: Clinic, make_key: MakeKey
) -> None:
    sync_id, run = sync_api.started("full")
    sync_api.begin(run)
    scheduled = sync_api.begin(sync_api.fake.make_run(**_range(run.tags)), Phase.CASES)
    theirs = make_key(clinic=other)

    for each in (sync_id, scheduled, uuid4()):
        response = sync_api.get(f"/api/sync/{each}", key=theirs)
        assert (response.status_code, response.json()["error"]) == (404, "Sync not found")
    assert sync_api.get("/api/sync", key=theirs).json()["syncs"] == []
    assert {each["syncId"] for each in sync_api.get("/api/sync").json()["syncs"]} == {
        str(sync_id),
        str(scheduled),
    }


def _range(tags: Any) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.startswith("dagster/")}


def test_invalid_ids_limits_and_cursors_are_refused(sync_api: SyncApi) -> None:
    refused = {
        "/7": "syncId: must be a UUID",
        "/" + "0" * 31: "syncId: must be a UUID",
        "?limit=0": "limit: ",
        "?limit=101": "limit: ",
        "?limit=ten": "limit: ",
        "?cursor=": "cursor: must be a nextCursor that this API gave",
        "?cursor=bm8": "cursor: must be a nextCursor that this API gave",
        "?cursor=" + "A" * 201: "cursor: ",
    }
    responses = {path: sync_api.get(f"/api/sync{path}") for path in refused}

    assert {path: response.status_code for path, response in responses.items()} == dict.fromkeys(
        refused, 400
    )
    for path, text in refused.items():
        assert responses[path].json()["error"].startswith(text)


def test_pages_go_from_new_to_old_and_end(sync_api: SyncApi, clock: Clock) -> None:
    wanted: list[UUID] = []
    for _ in range(5):
        clock.advance(seconds=1)
        wanted.insert(0, sync_api.started()[0])
    [*_, newest] = sync_api.fake.runs.values()
    newest.status = "STARTED"
    seen: list[str] = []
    statuses: list[str] = []
    address = "/api/sync?limit=2"
    while True:
        page = sync_api.get(address).json()
        seen += [each["syncId"] for each in page["syncs"]]
        statuses += [each["status"] for each in page["syncs"]]
        # New syncs do not move the older ones between pages.
        clock.advance(seconds=1)
        sync_api.started()
        if page["nextCursor"] is None:
            break
        address = f"/api/sync?limit=2&cursor={page['nextCursor']}"

    assert seen == [str(sync_id) for sync_id in wanted]
    assert statuses == ["running", "queued", "queued", "queued", "queued"]
    assert len(sync_api.get("/api/sync").json()["syncs"]) == 8
    assert len(sync_api.get("/api/sync?limit=100").json()["syncs"]) == 8
