"""``Idempotency-Key``: a request that is repeated starts one run."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event

import httpx2
import pytest

from pims_pipeline.api import dagster_client as module
from pims_pipeline.api.errors import BEING_STARTED, KEY_REUSED
from pims_pipeline.api.syncs import launching
from pims_pipeline.api.syncs.launching import RUN_SEARCH_DELAY
from pims_pipeline.api.syncs.status import LAUNCH_TIMEOUT
from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.store.requests import KEY_LASTS
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.fake_dagster import Mood
from pims_pipeline_tests.api.support.sync_api import SyncApi

KEY = {"Idempotency-Key": "2026-03-09-morning"}


@pytest.fixture(autouse=True)
def _one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search only once for a run whose launch got no response."""
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0)


def keyed(sync_api: SyncApi, path: str = "inbound", body: object = None) -> httpx2.Response:
    return sync_api.post(path, body, KEY)


def is_replay_of(response: httpx2.Response, first: httpx2.Response) -> bool:
    return (
        first.status_code == response.status_code == 202
        and response.content == first.content
        and response.headers.get("Idempotent-Replayed") == "true"
        and response.headers["Location"] == first.headers["Location"]
        and "Idempotent-Replayed" not in first.headers
    )


def test_a_repeated_request_gets_the_first_response_whatever_the_status_of_its_sync(
    sync_api: SyncApi, clock: Clock
) -> None:
    first = keyed(sync_api, body={"daysAhead": 7})
    queued = keyed(sync_api, body={"daysAhead": 7})
    # A missing field is the same as its default.
    clock.advance(hours=1)
    without_body = keyed(sync_api)
    audit_id = sync_api.begin(sync_api.fake.run)
    running = keyed(sync_api, body={})
    sync_api.fail(audit_id, "TransientError: slow")
    sync_api.fake.run.status = "FAILURE"
    ended = keyed(sync_api, body={"startDate": None})

    for response in (queued, without_body, running, ended):
        assert is_replay_of(response, first)
    assert len(sync_api.fake.runs) == 1


def test_a_replay_may_wait_for_the_result(sync_api: SyncApi) -> None:
    keyed(sync_api)
    sync_api.complete(sync_api.fake.run)

    response = sync_api.post("inbound", headers={**KEY, "Prefer": "wait=100"})

    assert response.status_code == 200
    assert response.headers["Idempotent-Replayed"] == "true"
    assert response.json()["success"] is True
    assert len(sync_api.fake.runs) == 1


def test_another_request_with_the_key_is_refused(sync_api: SyncApi) -> None:
    first = keyed(sync_api)

    for path, body in (
        ("inbound", {"daysAhead": 8}),
        ("inbound", {"startDate": "2026-03-09", "endDate": "2026-03-09"}),
        ("cases", None),
        ("reconcile", None),
        ("full", {"daysAhead": 7}),
    ):
        response = keyed(sync_api, path, body)
        assert response.status_code == 422, path
        assert response.json()["error"] == KEY_REUSED
    assert is_replay_of(keyed(sync_api), first)
    assert len(sync_api.fake.runs) == 1


def test_the_alias_is_the_same_endpoint(sync_api: SyncApi) -> None:
    first = keyed(sync_api, "reconcile")

    assert is_replay_of(keyed(sync_api, "reconciliation"), first)


def test_without_a_key_every_request_starts_a_run(sync_api: SyncApi) -> None:
    assert sync_api.started()[0] != sync_api.started()[0]


def test_a_malformed_key_is_refused(sync_api: SyncApi) -> None:
    for key in ("", "k" * 256):
        response = sync_api.post("inbound", headers={"Idempotency-Key": key})
        assert response.status_code == 400, len(key)
        assert response.json()["error"].startswith("Idempotency-Key: ")
    assert sync_api.fake.runs == {}
    assert sync_api.post("inbound", headers={"Idempotency-Key": "k" * 255}).status_code == 202


def test_after_a_day_the_key_is_free(sync_api: SyncApi, clock: Clock) -> None:
    first = keyed(sync_api)
    clock.advance(seconds=KEY_LASTS.total_seconds() - 1)
    assert is_replay_of(keyed(sync_api), first)
    clock.advance(seconds=1)

    second = keyed(sync_api, "cases")

    assert second.status_code == 202
    assert second.json()["syncId"] != first.json()["syncId"]
    assert is_replay_of(keyed(sync_api, "cases"), second)


def test_requests_at_the_same_instant_start_one_run(sync_api: SyncApi) -> None:
    start = Barrier(6)

    def race() -> httpx2.Response:
        start.wait(30)
        return keyed(sync_api)

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(race) for _ in range(6)]
        responses = [future.result(60) for future in futures]

    assert [response.status_code for response in responses] == [202] * 6
    assert len({response.content for response in responses}) == 1
    assert len([r for r in responses if "Idempotent-Replayed" not in r.headers]) == 1
    assert len(sync_api.fake.runs) == 1


def while_launching(sync_api: SyncApi, then: Callable[[], None]) -> tuple[httpx2.Response, ...]:
    """Return the responses of two requests; the second came during the launch of the first."""
    sync_api.fake.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first: Future[httpx2.Response] = pool.submit(keyed, sync_api)
        assert sync_api.fake.launching.wait(30)
        second = pool.submit(keyed, sync_api)
        # The second one polls the database, and finds no run yet.
        assert not Event().wait(0.3)
        assert not second.done()
        then()
        sync_api.fake.gate.set()
        return first.result(60), second.result(60)


def test_a_repeat_during_the_launch_waits_for_it(sync_api: SyncApi) -> None:
    first, second = while_launching(sync_api, lambda: None)

    assert is_replay_of(second, first)
    assert len(sync_api.fake.runs) == 1


def test_a_waiting_repeat_launches_when_the_first_launch_fails(sync_api: SyncApi) -> None:
    def refuse_once() -> None:
        sync_api.fake.mood = Mood.REFUSES_ONCE

    first, second = while_launching(sync_api, refuse_once)

    assert (first.status_code, second.status_code) == (503, 202)
    assert "Idempotent-Replayed" not in second.headers
    assert second.json()["syncId"] == sync_api.fake.run.tags[SYNC_ID_TAG]
    assert len(sync_api.rows("SELECT FROM sync_requests")) == 1


def lost(sync_api: SyncApi) -> str:
    """Return the id of a sync whose process died before it launched or recorded its run."""
    sync_api.fake.mood = Mood.HANGS_UP_BEFORE
    assert keyed(sync_api).status_code == 503
    sync_api.fake.mood = Mood.WELL
    [(sync_id,)] = sync_api.rows("SELECT id FROM sync_requests WHERE status = 'launching'")
    return str(sync_id)


def test_a_repeat_finds_a_run_that_was_never_recorded(sync_api: SyncApi, clock: Clock) -> None:
    sync_id = lost(sync_api)
    run = sync_api.fake.make_run(**{SYNC_ID_TAG: sync_id})
    clock.now += RUN_SEARCH_DELAY

    response = keyed(sync_api)

    assert response.status_code == 202
    assert response.json()["syncId"] == sync_id
    assert response.json()["links"]["run"].endswith(run.id)
    assert response.headers["Idempotent-Replayed"] == "true"
    assert sync_api.fake.run is run


def test_a_repeat_launches_again_once_the_first_launch_has_timed_out(
    sync_api: SyncApi, clock: Clock
) -> None:
    sync_id = lost(sync_api)
    clock.now += LAUNCH_TIMEOUT

    response = keyed(sync_api)

    assert response.status_code == 202
    assert response.json()["syncId"] == sync_api.fake.run.tags[SYNC_ID_TAG] != sync_id
    assert is_replay_of(keyed(sync_api), response)
    assert sync_api.get(f"/api/sync/{sync_id}").status_code == 404


def test_a_repeat_changes_nothing_while_dagster_cannot_be_reached(
    sync_api: SyncApi, clock: Clock
) -> None:
    lost(sync_api)
    clock.now += LAUNCH_TIMEOUT
    sync_api.fake.stop()

    assert keyed(sync_api).status_code == 503
    assert len(sync_api.rows("SELECT FROM sync_requests WHERE status = 'launching'")) == 1


def test_a_repeat_that_waited_too_long_is_asked_to_retry(
    sync_api: SyncApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(sync_api)
    monkeypatch.setattr(launching, "OTHER_LAUNCH_SECONDS", 0)

    response = keyed(sync_api)

    assert (response.status_code, response.json()["error"]) == (409, BEING_STARTED)
    assert response.headers["Retry-After"] == "5"
