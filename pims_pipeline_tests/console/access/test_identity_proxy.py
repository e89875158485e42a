"""Operators whom an identity proxy signs in, and those who pretend to come from one."""

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from pims_pipeline.console.context import IdentityProxy
from pims_pipeline.domain.console.operators import OperatorRole
from pims_pipeline.operations.operators.accounts import create_operator, remove_operator
from pims_pipeline.operations.operators.sign_in import form_token
from pims_pipeline_tests.console.browsers import OWN_PAGE, PASSWORD
from pims_pipeline_tests.console.conftest import Build, browser_of

PROXY = IdentityProxy("X-Forwarded-User", ("10.0.0.0/24", "2001:db8::5"))


@pytest.fixture
def proxied(build: Build, engine: Engine) -> FastAPI:
    """The console behind the proxy, with an operator whom it may sign in."""
    create_operator(engine, "eva", password=None, role=OperatorRole.VIEWER)
    return build(PROXY)


@pytest.mark.parametrize("peer", ["10.0.0.9", "::ffff:10.0.0.9", "2001:db8::5"])
def test_whom_the_proxy_names_is_signed_in(proxied: FastAPI, peer: str) -> None:
    browser = browser_of(proxied, client=peer)

    first = browser.get("/?find=oak", **{"X-Forwarded-User": "Eva"})

    assert (first.status_code, first.headers["location"]) == (303, "/console/?find=oak")
    assert ">eva<" in browser.get("/", **{"X-Forwarded-User": "Eva"}).text


def test_a_browser_that_does_not_keep_the_sign_in_gets_a_page_that_says_so(
    proxied: FastAPI,
) -> None:
    # Without TLS, a browser keeps no cookie that needs it.
    browser = browser_of(proxied, address="http://console.example", client="10.0.0.9")

    first = browser.get("/", **{"X-Forwarded-User": "eva"})
    second = browser.get("/", **{"X-Forwarded-User": "eva"})

    assert (first.status_code, second.status_code) == (303, 403)
    assert "did not keep the sign-in" in second.text


def test_who_signs_out_at_once_may_come_back_at_once(proxied: FastAPI) -> None:
    browser = browser_of(proxied, client="10.0.0.9")
    eva = {**OWN_PAGE, "X-Forwarded-User": "eva"}
    browser.get("/", **eva)
    token = form_token(browser.client.cookies["pims_console"])

    assert browser.send("/sign-out", eva, form_token=token).status_code == 303
    assert browser.get("/", **eva).status_code == 303


@pytest.mark.parametrize("peer", ["10.0.1.9", "203.0.113.7", "testclient", ""])
def test_the_header_of_anyone_else_is_ignored(proxied: FastAPI, peer: str) -> None:
    ignored = browser_of(proxied, client=peer).get(
        "/", **{"X-Forwarded-User": "eva", "X-Forwarded-For": "10.0.0.9"}
    )

    assert ignored.headers["location"] == "/console/sign-in?next=/"


def test_who_is_no_operator_is_refused(proxied: FastAPI, engine: Engine) -> None:
    browser = browser_of(proxied, client="10.0.0.9")
    assert browser.get("/", **{"X-Forwarded-User": "mallory"}).status_code == 403
    assert browser.get("/", **{"X-Forwarded-User": "eva"}).status_code == 303

    remove_operator(engine, "eva")

    assert browser.get("/", **{"X-Forwarded-User": "eva"}).status_code == 403


def test_another_name_in_the_same_browser_gets_a_sign_in_of_its_own(
    proxied: FastAPI, engine: Engine
) -> None:
    create_operator(engine, "ben", password=PASSWORD, role=OperatorRole.VIEWER)
    browser = browser_of(proxied, client="10.0.0.9")
    browser.get("/", **{"X-Forwarded-User": "eva"})
    evas = browser.client.cookies["pims_console"]

    assert browser.get("/", **{"X-Forwarded-User": "ben"}).status_code == 303

    assert browser.client.cookies["pims_console"] != evas
    assert ">ben<" in browser.get("/", **{"X-Forwarded-User": "ben"}).text


def test_two_headers_name_no_one(proxied: FastAPI) -> None:
    browser = browser_of(proxied, client="10.0.0.9")
    answer = browser.client.get(
        "/console/", headers=[("X-Forwarded-User", "eva"), ("X-Forwarded-User", "ben")]
    )

    assert answer.headers["location"] == "/console/sign-in?next=/"
