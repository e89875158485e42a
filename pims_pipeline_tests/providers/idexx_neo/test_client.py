"""How the HTTP client classifies responses, retries and waits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pims_pipeline.providers.http.exchange import MAX_TRIES
from pims_pipeline.providers.idexx_neo.client import IdexxNeoClient
from pims_pipeline.providers.idexx_neo.session import NeoSession, SessionCookie
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.port import ContractViolation, SessionExpired, TransientError
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LOGIN_PAGE = b"<!doctype html><title>Sign in</title><script src='/login.js'></script>"


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@pytest.fixture
def client(server: OddServer) -> Iterator[IdexxNeoClient]:
    cookie = SessionCookie(name="neo_session", value="s3cret", domain="127.0.0.1")
    session = NeoSession(
        account=server.base_url,
        base_url=server.base_url,
        cookies=(cookie,),
        expires_at=NOW + timedelta(hours=8),
    )
    running = IdexxNeoClient(
        session,
        RequestOptions(per_second=1000, retry_base_delay=0.001, connect_timeout=5, read_timeout=5),
        clock=lambda: NOW,
    )
    yield running
    running.close()


def get(client: IdexxNeoClient) -> bytes | None:
    return client.get("/appointments/x", {"start": "2026-03-04 00:00:00"}, what="the calendar")


def test_a_request_carries_the_cookies_and_the_headers_of_the_vendors_own_page(
    server: OddServer, client: IdexxNeoClient
) -> None:
    assert get(client) == b"[]"
    (path,), (headers,) = server.paths, server.headers
    assert path.replace("+", "%20") == "/appointments/x?start=2026-03-04%2000%3A00%3A00"
    assert headers["cookie"] == "neo_session=s3cret"
    assert headers["accept"] == "application/json"
    assert headers["x-requested-with"] == "XMLHttpRequest"


def test_a_renewed_cookie_is_kept(server: OddServer, client: IdexxNeoClient) -> None:
    server.responses = [Response(headers={"Set-Cookie": "neo_session=renewed; Path=/"})]
    get(client)
    assert [(cookie.name, cookie.value) for cookie in client.cookies()] == [
        ("neo_session", "renewed")
    ]


@pytest.mark.parametrize(
    "response",
    [
        Response(302, b"", headers={"Location": "/login"}),
        Response(303, b"", headers={"Location": "https://neo.example.test/login?next=%2F"}),
        Response(401, b'{"error": "Unauthenticated."}'),
        Response(200, LOGIN_PAGE, "text/html; charset=utf-8"),
        Response(200, LOGIN_PAGE, "application/json"),
    ],
)
def test_an_ended_session_is_recognized_in_every_shape_and_not_retried(
    server: OddServer, client: IdexxNeoClient, response: Response
) -> None:
    server.responses = [response]
    with pytest.raises(SessionExpired):
        get(client)
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    "response",
    [
        Response(500, b""),
        Response(503, b"<html>busy, please log in later</html>", "text/html"),
        Response(429, b"{}"),
        Response(408, b"{}"),
        Response(200, b'[{"id": 1}, {"id"', length=500),
        Response(200, b'[{"id": 1}, {"id"'),
        Response(200, b'{"data": [{"id": 1}'),
        Response(200, b'[{"name": "Bel'),
        Response(200, b"[tru"),
        Response(200, '[{"name": "é'.encode()[:-1]),
        Response(200, b""),
    ],
)
def test_a_transient_failure_is_tried_four_times(
    server: OddServer, client: IdexxNeoClient, response: Response
) -> None:
    server.responses = [response]
    with pytest.raises(TransientError) as raised:
        get(client)
    assert len(server.paths) == MAX_TRIES
    assert raised.value.retry_after is None


def test_a_failure_that_passes_is_hidden_from_the_caller(
    server: OddServer, client: IdexxNeoClient
) -> None:
    server.responses = [Response(500), Response(502), Response(503), Response(200, b"[1]")]
    assert get(client) == b"[1]"


@pytest.mark.parametrize(
    "response",
    [
        Response(400, b"{}"),
        Response(403, b"{}"),
        Response(204, b""),
        Response(302, b"", headers={"Location": "/elsewhere"}),
        Response(200, b"<html><h1>Scheduled maintenance</h1></html>", "text/html"),
    ],
)
def test_a_contract_violation_is_not_retried(
    server: OddServer, client: IdexxNeoClient, response: Response
) -> None:
    server.responses = [response]
    with pytest.raises(ContractViolation):
        get(client)
    assert len(server.paths) == 1


def test_malformed_json_that_is_whole_is_left_to_the_parser(
    server: OddServer, client: IdexxNeoClient
) -> None:
    body = b"[{'id': 1}, and then a good deal more that no one can read]"
    server.responses = [Response(200, body)]
    assert get(client) == body


def test_not_found_is_none(server: OddServer, client: IdexxNeoClient) -> None:
    server.responses = [Response(404, b"<html>password</html>", "text/html")]
    assert get(client) is None


def test_a_short_retry_after_of_the_vendor_is_obeyed(
    server: OddServer, client: IdexxNeoClient
) -> None:
    server.responses = [Response(429, headers={"Retry-After": "0.05"}), Response(200, b"[1]")]
    assert get(client) == b"[1]"


@pytest.mark.parametrize(
    "header", ["61", format_datetime(NOW + timedelta(seconds=61), usegmt=True)]
)
def test_a_long_retry_after_is_returned_to_the_caller(
    server: OddServer, client: IdexxNeoClient, header: str
) -> None:
    server.responses = [Response(429, headers={"Retry-After": header})]
    with pytest.raises(TransientError, match="Try again after 2026-03-04 12:01:01 UTC") as raised:
        get(client)
    assert raised.value.retry_after == 61
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    "header", ["1e20", "1e308", "99999999999", "Mon, 01 Jan 9999 00:00:00 GMT"]
)
def test_a_retry_after_without_an_end_is_an_error_like_others(
    server: OddServer, client: IdexxNeoClient, header: str
) -> None:
    server.responses = [Response(429, headers={"Retry-After": header})]
    with pytest.raises(TransientError, match="Try again after 2027-"):
        get(client)


@pytest.mark.parametrize(
    "header",
    [
        *("soon", "-5", "nan", "inf", "", "Mon, 01 Jan 99999 00:00:00 GMT"),
        "Mon, 01 Jan 2026 00:00:00 +99999999999999",
    ],
)
def test_an_invalid_retry_after_is_ignored(
    server: OddServer, client: IdexxNeoClient, header: str
) -> None:
    server.responses = [Response(429, headers={"Retry-After": header}), Response(200, b"[1]")]
    assert get(client) == b"[1]"


def test_a_message_carries_nothing_the_vendor_sent(
    server: OddServer, client: IdexxNeoClient
) -> None:
    server.responses = [Response(400, b'{"patient": "Bella"}', headers={"X-Note": "Bella"})]
    with pytest.raises(ContractViolation) as raised:
        get(client)
    assert "Bella" not in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_refused_connection_is_transient(server: OddServer) -> None:
    session = NeoSession(
        account="unused", base_url="http://127.0.0.1:1", cookies=(), expires_at=NOW
    )
    client = IdexxNeoClient(
        session,
        RequestOptions(per_second=1000, retry_base_delay=0.001, connect_timeout=1, read_timeout=1),
        clock=lambda: NOW,
    )
    with pytest.raises(TransientError, match="could not be reached"):
        get(client)
    client.close()
    assert server.paths == []


def test_a_host_without_dots_gets_its_cookies(server: OddServer) -> None:
    port = server.base_url.rsplit(":", 1)[1]
    session = NeoSession(
        account="localhost",
        base_url=f"http://localhost:{port}",
        cookies=(SessionCookie(name="neo_session", value="s3cret", domain="localhost"),),
        expires_at=NOW,
    )
    client = IdexxNeoClient(
        session,
        RequestOptions(per_second=1000, retry_base_delay=0.001, connect_timeout=5, read_timeout=5),
        clock=lambda: NOW,
    )
    get(client)
    client.close()
    assert server.headers[0]["cookie"] == "neo_session=s3cret"
