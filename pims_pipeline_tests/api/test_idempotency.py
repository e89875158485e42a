"""``Idempotency-Key``: however often a request is sent, one run is started and told of."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event

import httpx2
import pytest

from pims_pipeline.api import dagster as module
from pims_pipeline.api import launching
from pims_pipeline.api.errors import BEING_STARTED, KEY_REUSED
from pims_pipeline.api.launching import LOOK_FOR_RUN
from pims_pipeline.api.standing import LAUNCH_PATIENCE
from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.store.requests import KEY_LASTS
from pims_pipeline_tests.api.conftest import Clock
from pims_pipeline_tests.api.fake_dagster import Mood
from pims_pipeline_tests.api.world import World

KEY = {"Idempotency-Key": "2026-03-09-morning"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose launch was not answered is looked for once."""
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0)


def keyed(world: World, path: str = "inbound", body: object = None) -> httpx2.Response:
    return world.post(path, body, KEY)


def is_replay_of(response: httpx2.Response, first: httpx2.Response) -> bool:
    return (
        first.status_code == response.status_code == 202
        and response.content == first.content
        and response.headers.get("Idempotent-Replayed") == "true"
        and response.headers["Location"] == first.headers["Location"]
        and "Idempotent-Replayed" not in first.headers
    )


def test_the_same_request_is_answered_as_the_first_time_however_its_sync_stands(
    world: World, clock: Clock
) -> None:
    first = keyed(world, body={"daysAhead": 7})
    queued = keyed(world, body={"daysAhead": 7})
    # The defaults are what is meant when nothing is said.
    clock.advance(hours=1)
    unsaid = keyed(world)
    audit_id = world.begin(world.fake.run)
    running = keyed(world, body={})
    world.fail(audit_id, "TransientError: slow")
    world.fake.run.status = "FAILURE"
    ended = keyed(world, body={"startDate": None})

    for response in (queued, unsaid, running, ended):
        assert is_replay_of(response, first)
    assert len(world.fake.runs) == 1


def test_a_replay_may_wait_for_the_result(world: World) -> None:
    keyed(world)
    world.complete(world.fake.run)

    response = world.post("inbound", headers={**KEY, "Prefer": "wait=100"})

    assert response.status_code == 200
    assert response.headers["Idempotent-Replayed"] == "true"
    assert response.json()["success"] is True
    assert len(world.fake.runs) == 1


def test_another_request_with_the_key_is_refused(world: World) -> None:
    first = keyed(world)

    for path, body in (
        ("inbound", {"daysAhead": 8}),
        ("inbound", {"startDate": "2026-03-09", "endDate": "2026-03-09"}),
        ("cases", None),
        ("reconcile", None),
        ("full", {"daysAhead": 7}),
    ):
        response = keyed(world, path, body)
        assert response.status_code == 422, path
        assert response.json()["error"] == KEY_REUSED
    assert is_replay_of(keyed(world), first)
    assert len(world.fake.runs) == 1


def test_the_alias_is_the_same_endpoint(world: World) -> None:
    first = keyed(world, "reconcile")

    assert is_replay_of(keyed(world, "reconciliation"), first)


def test_without_a_key_every_request_starts_a_run(world: World) -> None:
    assert world.started()[0] != world.started()[0]


def test_a_key_that_cannot_be_one_is_refused(world: World) -> None:
    for key in ("", "k" * 256):
        response = world.post("inbound", headers={"Idempotency-Key": key})
        assert response.status_code == 400, len(key)
        assert response.json()["error"].startswith("Idempotency-Key: ")
    assert world.fake.runs == {}
    assert world.post("inbound", headers={"Idempotency-Key": "k" * 255}).status_code == 202


def test_after_a_day_the_key_is_free(world: World, clock: Clock) -> None:
    first = keyed(world)
    clock.advance(seconds=KEY_LASTS.total_seconds() - 1)
    assert is_replay_of(keyed(world), first)
    clock.advance(seconds=1)

    second = keyed(world, "cases")

    assert second.status_code == 202
    assert second.json()["syncId"] != first.json()["syncId"]
    assert is_replay_of(keyed(world, "cases"), second)


def test_requests_at_the_same_instant_start_one_run(world: World) -> None:
    start = Barrier(6)

    def race() -> httpx2.Response:
        start.wait(30)
        return keyed(world)

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(race) for _ in range(6)]
        responses = [future.result(60) for future in futures]

    assert [response.status_code for response in responses] == [202] * 6
    assert len({response.content for response in responses}) == 1
    assert len([r for r in responses if "Idempotent-Replayed" not in r.headers]) == 1
    assert len(world.fake.runs) == 1


def while_launching(world: World, then: Callable[[], None]) -> tuple[httpx2.Response, ...]:
    """The answers of two: the second came while the first one's launch went on."""
    world.fake.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first: Future[httpx2.Response] = pool.submit(keyed, world)
        assert world.fake.launching.wait(30)
        second = pool.submit(keyed, world)
        # The second one looks into the database now, and cannot tell anything yet.
        assert not Event().wait(0.3)
        assert not second.done()
        then()
        world.fake.gate.set()
        return first.result(60), second.result(60)


def test_who_comes_while_it_is_launched_waits_for_that_launch(world: World) -> None:
    first, second = while_launching(world, lambda: None)

    assert is_replay_of(second, first)
    assert len(world.fake.runs) == 1


def test_who_waits_takes_over_when_the_launch_fails(world: World) -> None:
    def refuse_once() -> None:
        world.fake.mood = Mood.REFUSES_ONCE

    first, second = while_launching(world, refuse_once)

    assert (first.status_code, second.status_code) == (503, 202)
    assert "Idempotent-Replayed" not in second.headers
    assert second.json()["syncId"] == world.fake.run.tags[SYNC_ID_TAG]
    assert len(world.rows("SELECT FROM sync_requests")) == 1


def lost(world: World) -> str:
    """The id of a sync whose process died before it could launch its run, or say so."""
    world.fake.mood = Mood.HANGS_UP_BEFORE
    assert keyed(world).status_code == 503
    world.fake.mood = Mood.WELL
    [(sync_id,)] = world.rows("SELECT id FROM sync_requests WHERE status = 'launching'")
    return str(sync_id)


def test_a_repeat_finds_the_run_that_nobody_could_record(world: World, clock: Clock) -> None:
    sync_id = lost(world)
    run = world.fake.make_run(**{SYNC_ID_TAG: sync_id})
    clock.now += LOOK_FOR_RUN

    response = keyed(world)

    assert response.status_code == 202
    assert response.json()["syncId"] == sync_id
    assert response.json()["links"]["run"].endswith(run.id)
    assert response.headers["Idempotent-Replayed"] == "true"
    assert world.fake.run is run


def test_a_repeat_launches_anew_once_nobody_can_be_launching(world: World, clock: Clock) -> None:
    sync_id = lost(world)
    clock.now += LAUNCH_PATIENCE

    response = keyed(world)

    assert response.status_code == 202
    assert response.json()["syncId"] == world.fake.run.tags[SYNC_ID_TAG] != sync_id
    assert is_replay_of(keyed(world), response)
    assert world.get(f"/api/sync/{sync_id}").status_code == 404


def test_a_repeat_decides_nothing_while_dagster_cannot_be_asked(world: World, clock: Clock) -> None:
    lost(world)
    clock.now += LAUNCH_PATIENCE
    world.fake.stop()

    assert keyed(world).status_code == 503
    assert len(world.rows("SELECT FROM sync_requests WHERE status = 'launching'")) == 1


def test_who_has_waited_long_enough_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(world)
    monkeypatch.setattr(launching, "OTHER_SECONDS", 0)

    response = keyed(world)

    assert (response.status_code, response.json()["error"]) == (409, BEING_STARTED)
    assert response.headers["Retry-After"] == "5"
