"""What all responses have: the error envelope, a request id, headers, a log line."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from httpx2 import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.domain.api_keys import new_key
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline_tests.api.support.clock import Clock
from pims_pipeline_tests.api.support.keys import MakeKey

PERSON = "Erika Mustermann 0151 2345678"
LIMIT = 64 * 1024
NOT_A_NUMBER = "Input should be a valid integer, unable to parse string as an integer"


class Chosen(BaseModel):
    model_config = ConfigDict(extra="forbid")

    days: Annotated[int, Field(alias="daysAhead", ge=0, le=90)] = 7


class CoffeeError(UserFacingError):
    """An error whose message may be shown."""


def routed(app: FastAPI) -> FastAPI:
    """The application, with routes that go wrong."""
    router = APIRouter()

    @router.post("/test/body")
    def body(chosen: Chosen) -> dict[str, int]:
        get_logger(__name__).info("worked")
        return {"days": chosen.days}

    @router.get("/test/items/{number}")
    def item(number: int, limit: Annotated[int, Query(le=100)] = 20) -> dict[str, int]:
        return {"number": number, "limit": limit}

    @router.get("/test/fault")
    def fault() -> None:
        try:
            int(PERSON)
        except ValueError as error:
            raise RuntimeError(PERSON) from error

    @router.get("/test/coffee")
    def coffee() -> None:
        raise CoffeeError("the coffee is out")

    @router.get("/test/locked")
    def locked() -> None:
        raise LockTimeout("table clinic_api_keys is locked by session 4711 (secret-tool)")

    @router.get("/test/address")
    def address(request: Request) -> dict[str, str]:
        return {"host": request.client.host if request.client else "", "scheme": request.url.scheme}

    app.include_router(router)
    return app


@pytest.fixture
def context(dagster: DagsterClient, clock: Clock) -> ApiContext:
    """What the application is built with; its database cannot be reached."""
    return ApiContext(
        engine=create_engine("postgresql://someone:secret@127.0.0.1:9/pims"),
        dagster=dagster,
        dagster_ui_url="http://dagster.example",
        partition_start=date(2025, 1, 1),
        requests_per_minute=2,
        clock=clock,
    )


@pytest.fixture
def stored(context: ApiContext, api_engine: Engine) -> ApiContext:
    """The same with a database."""
    return replace(context, engine=api_engine)


@pytest.fixture
def app(context: ApiContext) -> FastAPI:
    """The application, with routes that go wrong."""
    return routed(create_app(context))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[Mapping[str, Any]]]:
    """What is logged, one mapping per line."""
    lines: list[Mapping[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if isinstance(record.msg, dict):
                lines.append(record.msg)

    handler = Lines()
    with caplog.at_level(logging.INFO):
        logging.getLogger().addHandler(handler)
        yield lines
        logging.getLogger().removeHandler(handler)


def refusal(response: Response) -> tuple[int, str]:
    """Return the status and text of an error; check its envelope."""
    body = response.json()
    assert body.keys() == {"success", "error", "timestamp"}
    assert body["success"] is False
    return response.status_code, body["error"]


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/nowhere", (404, "Not Found")),
        ("GET", "/health/", (404, "Not Found")),
        ("PUT", "/test/body", (405, "Method Not Allowed")),
        ("OPTIONS", "/test/body", (405, "Method Not Allowed")),
        ("GET", "/test/fault", (500, "Internal server error")),
        (
            "GET",
            "/test/items/x?limit=101",
            (
                400,
                f"number: {NOT_A_NUMBER}; limit: Input should be less than or equal to 100",
            ),
        ),
    ],
)
def test_every_error_has_the_envelope(
    api: TestClient, clock: Clock, method: str, path: str, error: tuple[int, str]
) -> None:
    response = api.request(method, path)

    assert refusal(response) == error
    assert response.json()["timestamp"] == clock.now.isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert (response.status_code == 405) == ("Allow" in response.headers)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "The body is not valid JSON"),
        (b"\xff", "The body is not valid JSON"),
        (b'{"daysAhead": 1', "The body is not valid JSON"),
        (b"[" * 50_000, "The body is not valid JSON"),
        (b"[]", "The body must be a JSON object, sent as application/json"),
        (b'"text"', "The body must be a JSON object, sent as application/json"),
        (b"", "The body must be a JSON object, sent as application/json"),
        (b'{"daysAhead": 91}', "daysAhead: Input should be less than or equal to 90"),
        (b'{"days": 1}', "Unknown field: days"),
        (b'{"b": 1, "a": {}}', "Unknown fields: b, a"),
        (
            b'{"daysAhead": "many", "x": 1}',
            f"daysAhead: {NOT_A_NUMBER}; Unknown field: x",
        ),
    ],
)
def test_the_error_of_a_wrong_body_uses_the_names_of_the_client(
    api: TestClient, body: bytes, error: str
) -> None:
    response = api.post("/test/body", content=body, headers={"Content-Type": "application/json"})

    assert refusal(response) == (400, error)


def test_a_body_is_json_unless_its_type_is_another(api: TestClient) -> None:
    untyped = api.post("/test/body", content=b'{"daysAhead": 3}')
    plain_text = api.post(
        "/test/body", content=b'{"daysAhead": 3}', headers={"Content-Type": "text/plain"}
    )

    assert untyped.json() == {"days": 3}
    assert refusal(plain_text)[0] == 400


def padded(size: int) -> bytes:
    """Return a valid body of that size."""
    return b'{"daysAhead": 3' + b" " * (size - 16) + b"}"


def test_bodies_are_limited_however_they_are_sent(api: TestClient) -> None:
    def chunks(size: int) -> Iterator[bytes]:
        body = padded(size)
        yield from (body[start : start + 10_000] for start in range(0, size, 10_000))

    error = (413, "Request body is larger than 64 KiB")
    assert api.post("/test/body", content=padded(LIMIT)).json() == {"days": 3}
    assert api.post("/test/body", content=chunks(LIMIT)).json() == {"days": 3}
    assert refusal(api.post("/test/body", content=padded(LIMIT + 1))) == error
    assert refusal(api.post("/test/body", content=chunks(LIMIT + 1))) == error
    assert refusal(api.post("/nowhere", content=padded(LIMIT + 1))) == error


def test_a_fault_is_logged_with_the_request_s_id_and_without_its_message(
    api: TestClient, logged: list[Mapping[str, Any]]
) -> None:
    response = api.get("/test/fault", headers={"X-Request-Id": "from-the-client"})

    [line] = [each for each in logged if each["event"] == "request_failed"]
    assert line["request_id"] == response.headers["X-Request-Id"] == "from-the-client"
    assert line["error"] == "RuntimeError from ValueError"
    assert "test_app.py" in line["where"]
    assert "Mustermann" not in json.dumps([response.text, logged], default=str)


def test_the_message_of_a_user_facing_error_is_only_logged(
    api: TestClient, logged: list[Mapping[str, Any]]
) -> None:
    response = api.get("/test/coffee")

    [line] = [each for each in logged if each["event"] == "request_failed"]
    assert refusal(response) == (500, "Internal server error")
    assert line["reason"] == "the coffee is out"


def test_without_the_database_clients_are_asked_to_retry(
    api: TestClient, logged: list[Mapping[str, Any]]
) -> None:
    response = api.get("/api/sync", headers={"X-API-Key": new_key()})

    assert refusal(response) == (503, "The database is not available; try again later")
    assert response.headers["Retry-After"] == "5"
    [line] = [each for each in logged if each["event"] == "database_unavailable"]
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert "127.0.0.1" in line["reason"]
    assert "secret" not in json.dumps(logged, default=str)


def test_after_a_lock_timeout_the_client_is_asked_to_retry(
    api: TestClient, logged: list[Mapping[str, Any]]
) -> None:
    response = api.get("/test/locked")

    assert refusal(response) == (503, "The database is not available; try again later")
    assert response.headers["Retry-After"] == "5"
    [line] = [each for each in logged if each["event"] == "database_unavailable"]
    assert "4711" in line["reason"]


def test_every_line_of_a_request_carries_its_id(
    api: TestClient, logged: list[Mapping[str, Any]]
) -> None:
    response = api.post("/test/body?name=Erika", json={})

    ours = [line for line in logged if line.get("request_id") == response.headers["X-Request-Id"]]
    assert [line["event"] for line in ours] == ["worked", "request_answered"]
    assert {"method": "POST", "route": "/test/body", "status": 200}.items() <= ours[-1].items()
    assert "Erika" not in json.dumps(logged, default=str)


def test_the_access_log_names_the_key_and_the_clinic(
    stored: ApiContext, make_key: MakeKey, logged: list[Mapping[str, Any]]
) -> None:
    api, key = TestClient(create_app(stored)), make_key()
    api.get("/api/sync", headers={"X-API-Key": key})
    api.get("/api/sync/Erika", headers={"X-API-Key": key[:-1]})

    known, unknown = [line for line in logged if line["event"] == "request_answered"]
    assert (known["status"], known["route"]) == (200, "/api/sync")
    assert known.keys() >= {"key_id", "clinic_id", "duration_ms"}
    assert (unknown["status"], unknown["route"]) == (401, "/api/sync/{syncId}")
    assert not unknown.keys() & {"key_id", "clinic_id"}
    assert key[9:-1] not in json.dumps(logged, default=str)


@pytest.mark.parametrize(
    "sent", ["short", "x" * 65, "with space in it", 'quote"quote"', "-begins-badly", "Zeile\tzwei"]
)
def test_a_malformed_request_id_is_replaced(api: TestClient, sent: str) -> None:
    first, second = (
        api.get("/health", headers={"X-Request-Id": sent}).headers["X-Request-Id"] for _ in range(2)
    )

    assert len({first, second, sent}) == 3


def test_responses_and_errors_have_security_headers(api: TestClient) -> None:
    for path in ("/health", "/nowhere", "/test/fault", "/api/sync"):
        headers = api.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Strict-Transport-Security" not in headers
        assert "Access-Control-Allow-Origin" not in headers


def test_head_is_get_without_a_body(api: TestClient) -> None:
    head, get = api.head("/health"), api.get("/health")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert api.head("/test/body").status_code == 405


def test_other_origins_may_call_only_when_they_are_named(
    api: TestClient, context: ApiContext
) -> None:
    origin = "https://app.example"
    opened = TestClient(routed(create_app(replace(context, cors_origins=(origin,)))))
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-API-Key, Idempotency-Key",
    }

    closed = api.options("/test/body", headers=asked)
    allowed = opened.options("/test/body", headers=asked)
    error = opened.get("/test/fault", headers={"Origin": origin})
    refused = opened.options("/test/body", headers={**asked, "Origin": "https://other.example"})

    assert "Access-Control-Allow-Origin" not in closed.headers
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == origin
    assert "X-API-Key" in allowed.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert "Access-Control-Allow-Origin" not in refused.headers
    # Otherwise a page could not read the error.
    assert error.headers["Access-Control-Allow-Origin"] == origin
    assert error.status_code == 500


FORWARDED = {"X-Forwarded-For": "203.0.113.9, 10.1.2.3", "X-Forwarded-Proto": "https"}


def test_the_headers_of_a_trusted_proxy_count(app: FastAPI, context: ApiContext) -> None:
    trusting = routed(create_app(replace(context, trusted_proxies=("10.0.0.0/8",))))
    behind = TestClient(trusting, client=("10.9.9.9", 1))

    response = behind.get("/test/address", headers=FORWARDED)
    forged = TestClient(trusting, client=("192.0.2.1", 1)).get("/test/address", headers=FORWARDED)
    untrusted = TestClient(app, client=("10.9.9.9", 1)).get("/test/address", headers=FORWARDED)

    # The last address that is not a trusted proxy is the client.
    assert response.json() == {"host": "203.0.113.9", "scheme": "https"}
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert forged.json() == {"host": "192.0.2.1", "scheme": "http"}
    assert untrusted.json() == {"host": "10.9.9.9", "scheme": "http"}


def test_behind_a_proxy_the_limits_are_those_of_its_clients(context: ApiContext) -> None:
    trusting = create_app(replace(context, trusted_proxies=("10.0.0.0/8",)))
    proxy = TestClient(trusting, client=("10.9.9.9", 1))

    def guess(client: str) -> int:
        headers = {"X-API-Key": "guess", "X-Forwarded-For": client}
        return proxy.get("/api/sync", headers=headers).status_code

    assert {guess("203.0.113.9") for _ in range(100)} == {401}
    assert guess("203.0.113.9") == 429
    assert guess("203.0.113.10") == 401


def test_the_calls_of_a_key_are_limited(
    stored: ApiContext, make_key: MakeKey, clock: Clock
) -> None:
    api = TestClient(create_app(stored))
    headers = {"X-API-Key": make_key()}

    responses = [api.get("/api/sync", headers=headers) for _ in range(3)]
    clock.advance(seconds=60)

    assert [each.status_code for each in responses] == [200, 200, 429]
    assert refusal(responses[-1]) == (429, "Too many requests")
    assert responses[-1].headers["Retry-After"] == "60"
    assert api.get("/api/sync", headers=headers).status_code == 200
