"""Sessions between processes: their account, their address, and their end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.idexx_neo.session import (
    LONGEST_SESSION,
    NeoSession,
    SessionCookie,
    account_of,
    exported,
    restored,
    session_end,
)
from pims_pipeline.providers.port import SessionExpired

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
URL = "https://neo.example.test"
COOKIE = SessionCookie(name="neo_session", value="secret-value", domain="neo.example.test")
SESSION = NeoSession(
    account="abc", base_url=URL, cookies=(COOKIE,), expires_at=NOW + LONGEST_SESSION
)


def test_a_session_comes_back_as_it_was_stored() -> None:
    assert restored(exported(SESSION), base_url=URL, now=NOW) == SESSION


def test_cookies_are_never_sent_to_another_address() -> None:
    with pytest.raises(SessionExpired):
        restored(exported(SESSION), base_url="https://elsewhere.example.test", now=NOW)


def test_a_session_of_another_format_calls_for_a_login() -> None:
    state = exported(SESSION)
    other = replace(state, data=state.data.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(SessionExpired):
        restored(other, base_url=URL, now=NOW)


def test_a_session_ends_after_eight_hours_unless_its_cookie_ends_sooner() -> None:
    sooner = NOW + timedelta(hours=1)
    later = NOW + timedelta(days=30)
    assert session_end((COOKIE,), NOW) == NOW + LONGEST_SESSION
    assert session_end((replace(COOKIE, expires=sooner.timestamp()),), NOW) == sooner
    assert session_end((replace(COOKIE, expires=later.timestamp()),), NOW) == NOW + LONGEST_SESSION
    unrelated = replace(COOKIE, name="theme", expires=sooner.timestamp())
    assert session_end((COOKIE, unrelated), NOW) == NOW + LONGEST_SESSION


def test_neither_cookie_nor_account_shows_a_secret() -> None:
    credentials = neo_credentials("Vet@Example.test", "hunter2", "1001")
    account = account_of(URL, credentials)
    assert "secret-value" not in repr(SESSION)
    assert not {"vet", "hunter2", "1001"} & set(account.lower().split())
    assert account == account_of(URL, neo_credentials(" vet@example.test", "changed", "1001"))
    assert account != account_of(URL, neo_credentials("vet@example.test", "hunter2", "1002"))
