"""``GET /api/changes``: the changes of the key's own clinic, once each, and waiting for them."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, QueuePool, text

from pims_pipeline.api.app import create_app
from pims_pipeline.api.changes import MOST_READERS, MOST_READERS_EACH, MOST_VALUES
from pims_pipeline.api.server import running_api
from pims_pipeline.api.services import services_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.wire.feed.changes import ChangeList
from pims_pipeline_tests.api.support.keys import MakeKey
from pims_pipeline_tests.api.support.sync_api import SyncApi
from pims_pipeline_tests.store.queries.test_changes import another, audit_of, write


def change(engine: Engine, clinic: Clinic, count: int = 1) -> list[UUID]:
    """Change that many cases in one transaction."""
    audit, case_ids = audit_of(engine, clinic), [uuid4() for _ in range(count)]
    with transaction(engine) as connection:
        write(connection, clinic, audit, case_ids)
    return case_ids


def get(api: SyncApi, query: str = "", *, key: str = "", **headers: str) -> httpx2.Response:
    sent = {"X-API-Key": key or api.key, **headers}
    return api.api.get(f"/api/changes{query}", headers=sent)


def ids(body: Any) -> list[UUID]:
    return [UUID(each["caseId"]) for each in body["changes"]]


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    assert any(holds() or pause.wait(0.01) for _ in range(1500))


def test_a_reader_gets_each_change_once_and_in_order(sync_api: SyncApi, clinic: Clinic) -> None:
    written = change(sync_api.engine, clinic, 5)
    first = get(sync_api, "?limit=3").json()
    second = get(sync_api, f"?limit=3&after={first['nextAfter']}").json()
    third = get(sync_api, f"?after={second['nextAfter']}").json()

    assert ids(first) + ids(second) == written
    assert [each["hasMore"] for each in (first, second, third)] == [True, False, False]
    assert (third["changes"], third["nextAfter"]) == ([], second["nextAfter"])
    ChangeList.model_validate(first)


def test_values_need_a_permission_of_their_own(
    sync_api: SyncApi, clinic: Clinic, make_key: MakeKey
) -> None:
    change(sync_api.engine, clinic)
    reader, both = make_key("read"), make_key("read", "read:values")

    [bare] = get(sync_api, key=reader).json()["changes"]
    refused = get(sync_api, "?values=true", key=reader)
    [full] = get(sync_api, "?values=true", key=both).json()["changes"]
    alone = get(sync_api, "?values=true", key=make_key("read:values"))

    assert "values" not in bare
    assert set(bare["fields"]) == {"patient_name", "client_phone"}
    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: read:values")
    assert full["values"]["patient_name"] == ["Rex", "Max"]
    assert (alone.status_code, alone.json()["error"]) == (403, "Permission denied: read")
    assert get(sync_api).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"a": 1}', {"a": [None, 1]}),
        ('{"a": [1, 2, 3]}', {"a": [None, [1, 2, 3]]}),
        ('{"a": {"b": null}}', {"a": [None, {"b": None}]}),
        ("null", {"notAnObject": [None, None]}),
    ],
)
def test_a_change_of_another_shape_does_not_stop_the_feed(
    sync_api: SyncApi, clinic: Clinic, stored: str, shown: object
) -> None:
    change(sync_api.engine, clinic)
    with transaction(sync_api.engine) as connection:
        connection.execute(text("ALTER TABLE case_events DISABLE TRIGGER append_only"))
        connection.execute(
            text("UPDATE case_events SET changes = CAST(:stored AS jsonb)"), {"stored": stored}
        )

    [found] = get(sync_api, "?values=true").json()["changes"]

    assert found["values"] == shown


def test_another_clinic_s_changes_are_not_shown(
    sync_api: SyncApi, clinic: Clinic, make_key: MakeKey
) -> None:
    other = another(sync_api.engine, "elsewhere")
    mine, theirs = change(sync_api.engine, clinic), change(sync_api.engine, other)

    assert ids(get(sync_api).json()) == mine
    assert ids(get(sync_api, key=make_key(clinic=other)).json()) == theirs


def test_a_page_with_values_is_shorter(sync_api: SyncApi, clinic: Clinic) -> None:
    change(sync_api.engine, clinic, MOST_VALUES + 1)

    page = get(sync_api, "?values=true&limit=1000").json()

    assert (len(page["changes"]), page["hasMore"]) == (MOST_VALUES, True)


def test_a_reader_may_begin_at_the_present_end(sync_api: SyncApi, clinic: Clinic) -> None:
    assert get(sync_api, "?after=latest").json()["nextAfter"] == 0
    change(sync_api.engine, clinic, 2)
    last = get(sync_api).json()["nextAfter"]
    # The clinics share the numbers.
    change(sync_api.engine, another(sync_api.engine, "elsewhere"))

    page = get(sync_api, "?after=latest&limit=1").json()
    written = change(sync_api.engine, clinic)

    assert page == {"changes": [], "nextAfter": last, "hasMore": False}
    assert ids(get(sync_api, f"?after={page['nextAfter']}").json()) == written


def test_a_change_that_is_being_written_is_after_the_present_end(
    sync_api: SyncApi, clinic: Clinic
) -> None:
    audit, case_id = audit_of(sync_api.engine, clinic), uuid4()
    with transaction(sync_api.engine) as connection:
        write(connection, clinic, audit, [case_id])
        end = get(sync_api, "?after=latest").json()["nextAfter"]

    assert ids(get(sync_api, f"?after={end}").json()) == [case_id]


def test_a_reader_may_wait_at_the_present_end(sync_api: SyncApi, clinic: Clinic) -> None:
    change(sync_api.engine, clinic)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(get, sync_api, "?after=latest", Prefer="wait=120")
        until(lambda: _readers(sync_api) == 1)
        written = change(sync_api.engine, clinic)
        assert ids(waiting.result(30).json()) == written


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("?after=-1", "after: Input should be greater than or equal to 0"),
        (
            "?after=99999999999999999999",
            f"after: Input should be less than or equal to {2**63 - 1}",
        ),
        (
            "?after=newest",
            "after: Input should be a valid integer, unable to parse string as an integer",
        ),
        ("?limit=0", "limit: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_parameter_is_named(sync_api: SyncApi, query: str, error: str) -> None:
    response = get(sync_api, query)

    assert (response.status_code, response.json()["error"]) == (400, error)


def test_a_reader_that_is_ahead_of_a_restored_database_is_refused(
    sync_api: SyncApi, clinic: Clinic
) -> None:
    change(sync_api.engine, clinic)
    last = get(sync_api).json()["nextAfter"]

    response = get(sync_api, f"?after={last + 1}")

    assert response.status_code == 409
    assert f"then the changes after {last}" in response.json()["error"]


def test_a_waiting_reader_gets_a_change_when_it_is_made(sync_api: SyncApi, clinic: Clinic) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(get, sync_api, Prefer="wait=120")
        until(lambda: _readers(sync_api) == 1)
        written = change(sync_api.engine, clinic)
        response = waiting.result(30)

    assert ids(response.json()) == written
    assert response.headers["Preference-Applied"] == "wait=120"


def test_a_waiting_reader_holds_no_connection(sync_api: SyncApi, clinic: Clinic) -> None:
    pool = sync_api.context.engine.pool
    assert isinstance(pool, QueuePool)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(get, sync_api, Prefer="wait=120")
        until(lambda: _readers(sync_api) == 1)
        # Between two polls all connections are in the pool.
        until(lambda: pool.checkedout() == 0 and _readers(sync_api) == 1)
        change(sync_api.engine, clinic)
        waiting.result(30)


def test_waiting_ends_with_the_time_that_was_asked_for(sync_api: SyncApi) -> None:
    response = get(sync_api, Prefer="wait=1")

    assert response.json() == {"changes": [], "nextAfter": 0, "hasMore": False}
    assert response.headers["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize(
    ("query", "taken", "error"),
    [
        ("", "is_active = false", "API key is disabled"),
        ("", "expires_at = now() - interval '1 second'", "API key has expired"),
        ("", "permissions = '{sync:inbound}'", "Permission denied: read"),
        ("?values=true", "permissions = '{read}'", "Permission denied: read:values"),
    ],
)
def test_a_key_that_is_taken_away_during_the_wait_gets_nothing(
    sync_api: SyncApi, make_key: MakeKey, query: str, taken: str, error: str
) -> None:
    clinic = sync_api.clinic
    key, audit = make_key("read", "read:values"), audit_of(sync_api.engine, clinic)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(get, sync_api, query, key=key, Prefer="wait=120")
        until(lambda: _readers(sync_api) == 1)
        with transaction(sync_api.engine) as connection:
            # With the change itself, perhaps between two statements of a poll.
            connection.execute(text(f"UPDATE clinic_api_keys SET {taken}"))  # noqa: S608 - fixed
            write(connection, clinic, audit, [uuid4()])
        response = waiting.result(30)

    assert (response.status_code, response.json()["error"]) == (403, error)


def test_a_client_that_left_frees_its_slot(sync_api: SyncApi) -> None:
    app = create_app(sync_api.context)
    room = services_of(app).changes._room
    with running_api(app) as server:
        address = urlsplit(server.base_url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(
                f"GET /api/changes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {sync_api.key}\r\n"
                "Prefer: wait=120\r\n\r\n".encode()
            )
            until(lambda: room._taken == 1)
        until(lambda: room._taken == 0)


def test_without_a_free_slot_the_response_comes_at_once(sync_api: SyncApi) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_READERS):
            stack.enter_context(_room(sync_api).place(uuid4()))
        response = get(sync_api, Prefer="wait=120")

    assert (response.status_code, response.json()["changes"]) == (200, [])
    assert "Preference-Applied" not in response.headers


def test_one_clinic_s_readers_leave_slots_to_others(
    sync_api: SyncApi, clinic: Clinic, make_key: MakeKey
) -> None:
    other = another(sync_api.engine, "elsewhere")
    with ExitStack() as stack:
        for _ in range(MOST_READERS_EACH):
            stack.enter_context(_room(sync_api).place(clinic.id))
        mine = get(sync_api, Prefer="wait=120")
        theirs = get(sync_api, key=make_key(clinic=other), Prefer="wait=1")

    assert "Preference-Applied" not in mine.headers
    assert theirs.headers["Preference-Applied"] == "wait=1"


def test_waiting_ends_when_the_server_stops(sync_api: SyncApi) -> None:
    app = create_app(sync_api.context)
    with ThreadPoolExecutor(1) as threads:
        with running_api(app) as server:
            waiting = threads.submit(
                httpx2.get,
                f"{server.base_url}/api/changes",
                headers={"X-API-Key": sync_api.key, "Prefer": "wait=120"},
                timeout=60,
                trust_env=False,
            )
            until(lambda: services_of(app).changes._room._taken == 1)
            server.request_stop()
        assert waiting.result(30).json()["changes"] == []


def _room(api: SyncApi) -> Any:
    app = api.api.app
    assert isinstance(app, FastAPI)
    return services_of(app).changes._room


def _readers(api: SyncApi) -> int:
    taken: int = _room(api)._taken
    return taken
