"""What each login page leads to, in a real Chromium."""

import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.login.attempt import LoginAttempt
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.idexx_neo.session import SessionCookie
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    HumanNeeded,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.idexx_neo.login.login_form import HTML, form
from pims_pipeline_tests.providers.idexx_neo.login.loop_clock import LoopClock
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    SharedBrowser,
)
from pims_pipeline_tests.providers.odd_server import OddServer, Response
from pims_pipeline_tests.providers.simulated_login import CLINIC, CREDENTIALS, clinic_at


def test_a_right_login_gives_the_session_cookie(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    cookies = browser.log_in(simulator.base_url)
    assert cookies is not None
    assert [cookie.name for cookie in cookies if cookie.proves_login] == ["neo_session"]
    assert control.stats().logins[CLINIC.company_id] == 1
    assert browser.pictures == []


def test_a_wrong_password_is_refused_and_pictured(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
) -> None:
    assert (
        browser.log_in(simulator.base_url, Credentials({**CREDENTIALS.fields, "password": "wrong"}))
        is None
    )
    assert [picture[:4] for picture in browser.pictures] == [b"\x89PNG"]
    assert control.stats().logins[CLINIC.company_id] == 0


@pytest.mark.parametrize(
    ("mode", "what"), [("code", "one-time code"), ("locked", "locked"), ("terms", "terms")]
)
def test_a_page_that_needs_a_person_raises_human_needed(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
    mode: Literal["code", "locked", "terms"],
    what: str,
) -> None:
    control.login_mode(CLINIC.company_id, mode)
    with pytest.raises(HumanNeeded, match=what) as raised:
        browser.log_in(simulator.base_url)
    assert raised.value.__notes__ == ["A screenshot is kept as kept.png."]


def test_a_missing_company_id_calls_for_a_person(
    simulator: SimulatorServer,
    control: SimulatorControl,
    browser: SharedBrowser,
) -> None:
    with pytest.raises(HumanNeeded, match="company id"):
        browser.log_in(simulator.base_url, neo_credentials(CLINIC.username, CLINIC.password))
    assert control.stats().requests.get("login_post", 0) == 0


@pytest.mark.parametrize("fault", ["server_error", "rate_limited"])
def test_a_login_page_that_breaks_down_is_transient(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser, fault: str
) -> None:
    control.add_fault(fault, endpoint="login")
    with pytest.raises(TransientError):
        browser.log_in(simulator.base_url)


@pytest.mark.usefixtures("no_page_to_picture")
def test_a_hung_login_page_is_transient(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    control.add_fault("hang", endpoint="login")
    with pytest.raises(TransientError):
        browser.log_in(simulator.base_url, timeout_s=1)


def test_a_page_without_a_login_form_violates_the_contract(
    simulator: SimulatorServer, control: SimulatorControl, browser: SharedBrowser
) -> None:
    control.add_fault("html", endpoint="login")
    with pytest.raises(ContractViolation, match="no form"):
        browser.log_in(simulator.base_url, timeout_s=6)


def test_a_refused_connection_is_transient(browser: SharedBrowser) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="ERR_CONNECTION_REFUSED"):
            browser.log_in(f"http://127.0.0.1:{held.getsockname()[1]}")


@pytest.mark.parametrize("user_field", ["name='username'", "type=email name=who", "name=email"])
def test_a_page_without_company_ids_is_filled_in_all_the_same(
    server: OddServer, browser: SharedBrowser, user_field: str
) -> None:
    signed_in = Response(302, b"", headers={"Location": "/", "Set-Cookie": "PHPSESSION=1; Path=/"})
    server.responses = [
        form(user_field=user_field),
        signed_in,
        Response(200, b"calendar", HTML),
    ]
    cookies = browser.log_in(server.base_url, neo_credentials("vet@example.test", "pw", "1001"))
    assert cookies is not None
    assert ("PHPSESSION", "1") in [(cookie.name, cookie.value) for cookie in cookies]


def test_a_stale_form_is_not_mistaken_for_a_wrong_password(
    server: OddServer, browser: SharedBrowser
) -> None:
    stale = form("<p class=alert-danger>This form is out of date.</p>")
    server.responses = [form(), replace(stale, status=403)]
    with pytest.raises(TransientError, match="403"):
        browser.log_in(server.base_url)


def test_a_message_from_before_the_submit_is_not_a_response(
    server: OddServer, browser: SharedBrowser
) -> None:
    notice = "<p class=alert-danger>You were signed out.</p>"
    signed_in = Response(302, b"", headers={"Location": "/", "Set-Cookie": "session=1; Path=/"})
    server.responses = [form(notice), signed_in, Response(200, b"calendar", HTML)]
    assert browser.log_in(server.base_url) is not None


@pytest.mark.parametrize(
    "after",
    [Response(200, b"<p>Hm.</p>", HTML), Response(302, b"", headers={"Location": "/no-cookie"})],
)
def test_a_login_that_leads_nowhere_calls_for_a_person(
    server: OddServer, browser: SharedBrowser, after: Response
) -> None:
    server.responses = [form(), after, Response(200, b"<p>Welcome</p>", HTML)]
    with pytest.raises(HumanNeeded, match="not known"):
        browser.log_in(server.base_url)


BESIDE = "<script>addEventListener('submit', event => {{ event.preventDefault(); {} }})</script>"
SEND = (
    "fetch('/api', {{method: 'POST', body: JSON.stringify("
    "{{p: document.forms[0].password.value}})}}).then(() => {})"
)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (SEND.format("document.querySelector('p').textContent = 'Nope.'"), None),
        (SEND.format("alert('Your password is incorrect.')"), None),
        (
            SEND.format("document.querySelector('p').textContent = 'Your subscription has ended'"),
            HumanNeeded,
        ),
        (
            SEND.format("document.querySelector('p').textContent = 'Please try again later'"),
            TransientError,
        ),
        (
            SEND.format("document.querySelector('p').textContent = 'Your password has expired'"),
            HumanNeeded,
        ),
        ("document.querySelector('p').textContent = 'Wrong password'", ContractViolation),
        ("alert('Wrong password')", ContractViolation),
        ("", ContractViolation),
    ],
)
def test_credentials_are_refused_only_by_a_response_to_them(
    server: OddServer, browser: SharedBrowser, script: str, outcome: type[Exception] | None
) -> None:
    server.responses = [form("<p class=alert-danger></p>" + BESIDE.format(script)), Response(401)]
    if outcome is None:
        assert browser.log_in(server.base_url) is None
    else:
        with pytest.raises(outcome):
            browser.log_in(server.base_url)


def test_an_accepted_session_counts_although_the_page_still_shows_the_form(
    server: OddServer, browser: SharedBrowser
) -> None:
    """The form stays, and the cookie has any name; an error beside it has another cause."""
    stays = BESIDE.format(SEND.format("document.cookie = 'x=1; path=/'"))
    server.responses = [form(stays), Response(200)]
    cookies = browser.log_in(server.base_url, accepts=lambda cookies, _: bool(cookies))
    assert [(cookie.name, cookie.value) for cookie in cookies or ()] == [("x", "1")]


def test_a_first_request_without_a_response_ends_with_the_logins_timeout(
    simulator: SimulatorServer,
    control: SimulatorControl,
    tmp_path: Path,
    loop_clock: LoopClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control.add_fault("drip", endpoint="listing", times=None, seconds=0.1)
    accepted, left = LoginAttempt._accepted, 1.5

    async def with_little_time_left(
        attempt: LoginAttempt, where: str
    ) -> tuple[SessionCookie, ...] | None:
        loop_clock.forward(attempt._left_ms() / 1000 - left)
        return await accepted(attempt, where)

    monkeypatch.setattr(LoginAttempt, "_accepted", with_little_time_left)
    provider = IdexxNeoProvider(
        clinic_at(simulator.base_url),
        ProviderOptions(
            login=LoginOptions(artifacts_dir=tmp_path, timeout=15),
            requests=RequestOptions(total_timeout=3600),
        ),
    )

    with pytest.raises(TransientError, match="the login did not finish in time"):
        provider.authenticate(CREDENTIALS)
    assert control.stats().requests["listing"] == 1
    with pytest.raises(SessionExpired):
        provider.export_session()
    provider.close()


def test_the_requests_after_a_login_have_more_time_than_the_login(
    simulator: SimulatorServer,
    control: SimulatorControl,  # noqa: ARG001 - lets go of the faults of other tests
    tmp_path: Path,
) -> None:
    today = datetime.now(UTC).astimezone(CLINIC.zone).date()
    provider = IdexxNeoProvider(
        clinic_at(simulator.base_url),
        ProviderOptions(
            login=LoginOptions(artifacts_dir=tmp_path, timeout=15),
        ),
    )
    later = 0.0
    provider.watch(StopSignal(clock=lambda: time.monotonic() + later))

    assert provider.authenticate(CREDENTIALS)
    later = 3600.0
    assert provider.fetch_appointments(DateRange(today, today)).complete
    provider.close()
