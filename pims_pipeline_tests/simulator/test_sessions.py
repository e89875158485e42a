"""Logging in, staying in, being locked out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import running_simulator
from pims_pipeline.simulator.vendors.idexx_neo.sessions import (
    HELD_MODES,
    SIMULATED_CODE,
    WRONG_ATTEMPTS_ALLOWED,
)
from pims_pipeline_tests.simulator.http_client import (
    TODAY,
    ask_listing,
    form_token,
    logged_in,
    new_client,
    records_of,
    try_login,
)


@dataclass
class SettableClock:
    """A clock that moves when a test moves it."""

    now: datetime = datetime(2026, 3, 11, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def timed_url(clock: SettableClock) -> Iterator[str]:
    with running_simulator(SimulatorConfig(clock=clock)) as running:
        yield running.base_url


def test_a_login_gives_a_session_cookie_that_scripts_cannot_read(base_url: str) -> None:
    with new_client(base_url) as client:
        cookie = try_login(client, "1001").headers["set-cookie"]

    assert "session" in cookie.split("=")[0]
    assert "httponly" in cookie.lower()


def test_the_session_decides_whose_calendar_is_shown(base_url: str) -> None:
    with logged_in(base_url, "1001") as first, logged_in(base_url, "1002") as second:
        assert records_of(ask_listing(first, TODAY)) != records_of(ask_listing(second, TODAY))


def test_a_wrong_password_stays_on_the_login_page_with_a_message(base_url: str) -> None:
    with new_client(base_url) as client:
        response = try_login(client, "1001", "wrong")

    assert response.status_code == 200
    assert "error-message" in response.text
    assert "neo_session" not in response.headers.get("set-cookie", "")


def test_a_form_without_its_hidden_token_is_rejected(base_url: str) -> None:
    with new_client(base_url) as client:
        client.get("/login")
        response = client.post(
            "/login", data={"company_id": "1001", "username": "demo", "password": "demo-1001"}
        )

    assert response.status_code == 403
    assert "neo_session" not in client.cookies


def test_another_browsers_hidden_token_is_rejected(base_url: str) -> None:
    with new_client(base_url) as client, new_client(base_url) as other:
        client.get("/login")
        token = form_token(other.get("/login").text)
        response = client.post(
            "/login",
            data={
                "company_id": "1001",
                "username": "demo",
                "password": "demo-1001",
                "csrf_token": token,
            },
        )

    assert response.status_code == 403


def test_too_many_wrong_passwords_lock_the_account_against_the_right_one(
    base_url: str, control: SimulatorControl
) -> None:
    with new_client(base_url) as client:
        pages = [try_login(client, "1001", "wrong").text for _ in range(WRONG_ATTEMPTS_ALLOWED)]
        after = try_login(client, "1001")

    assert ["account is locked" in text for text in pages] == [False] * 4 + [True]
    assert "account is locked" in after.text
    assert control.stats().logins == {"1001": 0, "1002": 0, "1003": 0}


def test_setting_the_login_back_to_normal_unlocks(base_url: str, control: SimulatorControl) -> None:
    control.login_mode("1001", "locked")
    with new_client(base_url) as client:
        assert "account is locked" in try_login(client, "1001").text
        control.login_mode("1001", "normal")
        assert try_login(client, "1001").headers["location"] == "/"


def test_a_code_is_required_between_the_password_and_the_session(
    base_url: str, control: SimulatorControl
) -> None:
    control.login_mode("1001", "code")
    with new_client(base_url) as client:
        assert try_login(client, "1001").headers["location"] == "/login/code"
        page = client.get("/login/code").text
        assert 'name="code"' in page
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        wrong = client.post("/login/code", data={"csrf_token": token, "code": "000000"})
        assert "error-message" in wrong.text
        assert ask_listing(client, TODAY).status_code == 302
        right = client.post("/login/code", data={"csrf_token": token, "code": SIMULATED_CODE})
        assert right.headers["location"] == "/"
        assert ask_listing(client, TODAY).status_code == 200


@pytest.mark.parametrize("mode", sorted(HELD_MODES))
def test_a_page_blocks_the_session_s_responses_until_a_person_has_passed_it(
    base_url: str, control: SimulatorControl, mode: str
) -> None:
    control.login_mode("1001", mode)
    with new_client(base_url) as client:
        where = f"/welcome/{mode}"
        assert try_login(client, "1001").headers["location"] == where
        assert ask_listing(client, TODAY).headers["location"] == where
        assert client.get("/").headers["location"] == where
        found = re.search(r'name="form_token" value="([^"]+)"', client.get(where).text)
        assert found is not None
        client.post(where, data={"form_token": "forged"})
        assert ask_listing(client, TODAY).headers["location"] == where
        client.post(where, data={"form_token": found[1]})
        assert records_of(ask_listing(client, TODAY))
    with logged_in(base_url) as client:
        assert records_of(ask_listing(client, TODAY))


def test_a_dead_session_shows_the_day_page_and_gets_no_data(
    base_url: str, control: SimulatorControl
) -> None:
    control.login_mode("1001", "dead_session")
    with logged_in(base_url) as client:
        assert client.get("/").status_code == 200
        assert ask_listing(client, TODAY).headers["location"] == "/login"


def test_terms_must_be_accepted_between_the_password_and_the_session(
    base_url: str, control: SimulatorControl
) -> None:
    control.login_mode("1001", "terms")
    with new_client(base_url) as client:
        assert try_login(client, "1001").headers["location"] == "/login/terms"
        page = client.get("/login/terms").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        accepted = {"csrf_token": token, "accept_terms": "1"}
        assert client.post("/login/terms", data=accepted).headers["location"] == "/"


def test_a_session_ends_when_it_lies_idle(timed_url: str, clock: SettableClock) -> None:
    with logged_in(timed_url) as client:
        clock.now += timedelta(seconds=1199)
        assert ask_listing(client, TODAY).status_code == 200
        clock.now += timedelta(seconds=1199)
        assert ask_listing(client, TODAY).status_code == 200
        clock.now += timedelta(seconds=1200)
        assert ask_listing(client, TODAY).headers["location"] == "/login"


def test_a_session_ends_for_good_however_busy_it_is(timed_url: str, clock: SettableClock) -> None:
    with logged_in(timed_url) as client:
        for _ in range(31):
            clock.now += timedelta(seconds=900)
            assert ask_listing(client, TODAY).status_code == 200
        clock.now += timedelta(seconds=900)
        assert ask_listing(client, TODAY).status_code == 302
        assert ask_listing(client, TODAY).status_code == 302


@pytest.mark.parametrize("path", [
    "/appointments/getCalendarEventData?start=2026-03-11%2000:00:00&end=2026-03-11%2023:59:59",
    "/appointments/getAppointment?id=1",
    "/consultations/1/page-data",
])  # fmt: skip
def test_every_endpoint_requires_a_session(base_url: str, path: str) -> None:
    with new_client(base_url) as client:
        response = client.get(path)

    assert response.status_code == 302
    assert response.headers["location"] == "/login"


def test_expired_sessions_are_rejected_in_the_chosen_shape(
    base_url: str, control: SimulatorControl
) -> None:
    def status_and_type(client: httpx2.Client) -> tuple[int, str]:
        response = ask_listing(client, TODAY)
        return response.status_code, response.headers.get("content-type", "").split(";")[0]

    with logged_in(base_url, "1001") as client, logged_in(base_url, "1002") as other:
        control.expire_sessions("1001", "401")
        assert status_and_type(client) == (401, "application/json")
        control.expire_sessions("1001", "html")
        assert status_and_type(client) == (200, "text/html")
        assert "login-root" in ask_listing(client, TODAY).text
        control.expire_sessions("1001", "redirect")
        assert status_and_type(client)[0] == 302
        assert status_and_type(other) == (200, "application/json")


def test_clients_without_a_session_are_rejected_in_the_chosen_shape(
    base_url: str, control: SimulatorControl
) -> None:
    control.settings(expired_mode="401")

    with new_client(base_url) as client:
        assert ask_listing(client, TODAY).status_code == 401
