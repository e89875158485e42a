"""Nothing shows what was typed into a login page, whatever the page does with it."""

import html
from collections.abc import Mapping
from urllib.parse import quote

from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import PimsError
from pims_pipeline_tests.canary.canaries import canary
from pims_pipeline_tests.canary.evidence import NOWHERE, Evidence, leaks
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import shared_browser
from pims_pipeline_tests.providers.odd_server import Response, odd_server

REFUSES = "refuses it"
NOWHERE_TO_GO = ("leads nowhere", "sends it on", "vanishes")
"""Pages without a response to the form."""


def form(
    attributes: str = "method=post action=/login", more: str = "", kind: str = "text"
) -> Response:
    """A login page; the user name's field has the type ``kind``."""
    body = (
        f"<!doctype html><form {attributes}><input name=username type={kind}>"
        f"<input type=password name=password><button type=submit>Sign in</button></form>{more}"
    )
    return Response(200, body.encode(), "text/html; charset=utf-8")


def page(status: int, body: str, **headers: str) -> Response:
    return Response(status, body.encode(), "text/html; charset=utf-8", headers)


def login_pages(typed: str) -> Mapping[str, list[Response]]:
    """What a vendor's pages may do with the password, by name."""
    quoted = html.escape(typed)
    by_address = form("method=get action=/login")
    script = "<script>addEventListener({!r}, () => {{ {} }}, true)</script>"
    value = "document.querySelector('[type=password]').value"
    logging = script.format("submit", f"console.error({value}); throw {value}")
    elsewhere = f"http://127.0.0.1:9/?q={quote(typed)}"
    return {
        REFUSES: [form(), form(more=f"<p class=alert-danger>Not {quoted}!")],
        "locks it": [form(), page(200, f"The account is locked: {quoted}")],
        "wants more": [form(), page(200, f"{quoted} <input name=otp>")],
        "breaks down": [form(), page(500, quoted)],
        "takes numbers alone": [form(kind="number")],
        "puts it in the address": [by_address, page(500, "")],
        "logs it": [form(more=logging), page(503, quoted)],
        **dict(
            zip(
                NOWHERE_TO_GO,
                (
                    [form(), page(200, f"{quoted}?")],
                    [by_address, page(302, "", Location=elsewhere)],
                    [form(more=script.format("focusin", "document.forms[0].remove()"))],
                ),
                strict=True,
            )
        ),
    }


def test_whatever_a_login_page_does_with_a_password_nothing_shows_it() -> None:
    evidence = Evidence()
    password, username = canary("password", 'p"ä {} <%41>'), canary("username", "{}@vets")
    typed = neo_credentials(username.text, password.text)
    pages = login_pages(password.text)
    failed = set()
    with (
        evidence.logging("log"),
        evidence.watching_processes("processes"),
        shared_browser() as browser,
        odd_server() as vendor,
    ):
        for name, responses in pages.items():
            vendor.responses = responses
            timeout = 2 if name in NOWHERE_TO_GO else 20
            try:
                assert browser.log_in(vendor.base_url, typed, timeout_s=timeout) is None
            except PimsError as error:
                evidence.add_error("errors", error)
                failed.add(name)

    assert failed == pages.keys() - {REFUSES}
    assert "chromium" in evidence.text_at("processes")
    assert leaks(evidence, {password: NOWHERE, username: NOWHERE}) == {}
