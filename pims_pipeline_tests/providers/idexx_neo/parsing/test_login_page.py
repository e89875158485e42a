"""What is a login page, and what is JSON whatever it is served as."""

import codecs
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.providers.idexx_neo.client import IdexxNeoClient
from pims_pipeline.providers.idexx_neo.parsing.login_page import is_login_page
from pims_pipeline.providers.idexx_neo.session import NeoSession
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.parsing.decoding import text_of
from pims_pipeline.providers.port import ContractViolation, SessionExpired, TransientError
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server

JSON_TYPE = "application/json"


@pytest.mark.parametrize(
    "page",
    [
        "<form><input type='password'></form>",
        "<FORM><INPUT NAME=p TYPE=Password>",
        "<input autocomplete=current-password>",
        "<form action='https://neo.example.test/login?next=%2F'>",
        "<script src='/assets/login.js?v=3'></script>",
        "<script>field('password', 'Password', 'password')</script>",
        '<meta http-equiv=refresh content="0; url=/login">',
        "<link rel=canonical href=https://neo.example.test/login>",
    ],
)
def test_a_page_that_asks_for_a_password_is_the_login_page(page: str) -> None:
    assert is_login_page(f"<!doctype html><title>Neo</title>{page}")


@pytest.mark.parametrize(
    "page",
    [
        "<h1>We will be back</h1><p>Please log in later; your password stays as it is.</p>",
        "<a href='/login'>Sign in</a>",
        "<p>&lt;input type='password'&gt;</p>",
        "<!-- <input type='password'> --><title>Sign in</title>",
        "<script src='/analytics.js'></script><p>'password'</p>",
        "<![Bella]><p>",
        "<form action='//[bad'>",
    ],
)
def test_words_do_not_make_a_page_the_login_page(page: str) -> None:
    assert not is_login_page(f"<!doctype html>{page}")


@given(st.text(alphabet="<>!-/'\" =[]aform"))
def test_any_markup_is_judged(page: str) -> None:
    is_login_page(page)


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@pytest.fixture
def client(server: OddServer) -> Iterator[IdexxNeoClient]:
    now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    running = IdexxNeoClient(
        NeoSession(account=server.base_url, base_url=server.base_url, cookies=(), expires_at=now),
        RequestOptions(per_second=1000, retry_base_delay=0.001, read_timeout=5),
        clock=lambda: now,
    )
    yield running
    running.close()


def get(client: IdexxNeoClient) -> bytes | None:
    return client.get("/appointments/x", {}, what="the calendar")


NOTE = json.dumps(
    [{"reason": "<form action='/login'>Could not log in. <input type='password'> sign in"}]
)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (NOTE.encode(), "text/html; charset=utf-8"),
        (NOTE.encode(), "text/plain"),
        (NOTE.encode(), JSON_TYPE),
        (codecs.BOM_UTF8 + NOTE.encode(), "text/html"),
        (NOTE.encode("utf-16"), "text/html"),
        (b'[{"reason": "log in\x0b"}]', "text/html"),
        (b'"<b>log in</b>"', "text/html"),
    ],
)
def test_json_is_json_whatever_it_is_served_as_and_says(
    server: OddServer, client: IdexxNeoClient, body: bytes, content_type: str
) -> None:
    server.responses = [Response(200, body, content_type)]
    assert get(client) == text_of(body).encode()
    assert len(server.paths) == 1


def test_a_declared_charset_is_honoured(server: OddServer, client: IdexxNeoClient) -> None:
    # As UTF-8 these bytes would be another letter.
    server.responses = [Response(200, b'["\xc3\xa9"]', "application/json; charset=windows-1252")]
    assert get(client) == '["Ã©"]'.encode()


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (Response(200, b'[{"reason": "password: log in <', "text/html"), TransientError),
        (Response(200, b"", "text/html"), TransientError),
        (Response(200, b"<p>Please log in later: password", "text/html"), ContractViolation),
        (Response(200, b" \n<input type=password>", JSON_TYPE), SessionExpired),
    ],
)
def test_other_bodies_than_json_are_classified(
    server: OddServer, client: IdexxNeoClient, response: Response, error: type[Exception]
) -> None:
    server.responses = [response]
    with pytest.raises(error):
        get(client)


def test_gone_is_none(server: OddServer, client: IdexxNeoClient) -> None:
    server.responses = [Response(410, b"<html>password</html>", "text/html")]
    assert get(client) is None
