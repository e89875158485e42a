"""Keys whose requests wait for their syncs, as those of the v4.0 service did."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pims_pipeline.domain.api_keys import LONGEST_WAIT_SECONDS
from pims_pipeline_tests.api.support.keys import MakeKey
from pims_pipeline_tests.api.support.sync_api import SyncApi


def until(holds: Callable[[], bool]) -> bool:
    """Whether something holds within fifteen seconds."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.05) for _ in range(300))


def test_a_request_with_such_a_key_waits_and_returns_the_result(
    sync_api: SyncApi, make_key: MakeKey
) -> None:
    key = {"X-API-Key": make_key(wait_seconds=LONGEST_WAIT_SECONDS)}
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(sync_api.post, "inbound", None, key)
        assert until(lambda: sync_api.fake.queries.count("Find") >= 1)
        sync_api.complete(sync_api.fake.run)
        response = future.result(30)

    assert response.status_code == 200
    assert response.json()["stats"]["appointmentsFound"] == 0
    assert "Preference-Applied" not in response.headers
    assert response.headers["Location"] == f"/api/sync/{response.json()['syncId']}"


def test_only_a_sync_that_takes_longer_gets_202(sync_api: SyncApi, make_key: MakeKey) -> None:
    response = sync_api.post("inbound", headers={"X-API-Key": make_key(wait_seconds=1)})

    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert "Preference-Applied" not in response.headers


@pytest.mark.parametrize(
    ("prefer", "applied"), [("wait=0", None), ("respond-async", None), ("wait=1", "wait=1")]
)
def test_a_header_wins_over_the_key(
    sync_api: SyncApi, make_key: MakeKey, prefer: str, applied: str | None
) -> None:
    # Without the header, this would wait for two minutes.
    key = make_key(wait_seconds=LONGEST_WAIT_SECONDS)
    response = sync_api.post("inbound", headers={"X-API-Key": key, "Prefer": prefer})

    assert response.status_code == 202
    assert response.headers.get("Preference-Applied") == applied


def test_a_repeated_request_waits_for_the_first_one_s_sync(
    sync_api: SyncApi, make_key: MakeKey
) -> None:
    key = make_key(wait_seconds=LONGEST_WAIT_SECONDS)
    sent = {"X-API-Key": key, "Idempotency-Key": "morning"}
    first = sync_api.post("inbound", headers={**sent, "Prefer": "wait=0"})
    sync_api.complete(sync_api.fake.run)
    second = sync_api.post("inbound", headers=sent)

    assert (first.status_code, second.status_code) == (202, 200)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json()["syncId"] == first.json()["syncId"]
