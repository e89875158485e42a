"""Logs in to the simulator over plain HTTP and sends it requests, as an adapter does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import httpx2

TODAY = date(2026, 3, 11)
"""The date of the simulator of these tests; a Wednesday."""

HEADERS = {"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}


def new_client(base_url: str) -> httpx2.Client:
    """A client that holds cookies and follows no redirect."""
    return httpx2.Client(base_url=base_url, timeout=10, trust_env=False, headers=HEADERS)


def form_token(page: str) -> str:
    """The hidden token that the login page's script puts into its form."""
    found = re.search(r'data-token="([^"]+)"', page)
    assert found
    return found[1]


def try_login(
    client: httpx2.Client, company_id: str, password: str | None = None, username: str = "demo"
) -> httpx2.Response:
    """Fetches the login page and sends its form."""
    token = form_token(client.get("/login").text)
    return client.post(
        "/login",
        data={
            "company_id": company_id,
            "username": username,
            "password": password or f"demo-{company_id}",
            "csrf_token": token,
        },
    )


@contextmanager
def logged_in(base_url: str, company_id: str = "1001") -> Iterator[httpx2.Client]:
    """A client with a session of that clinic."""
    with new_client(base_url) as client:
        response = try_login(client, company_id)
        assert response.status_code == 302
        assert response.headers["location"] == "/"
        yield client


def ask_listing(client: httpx2.Client, start: date, end: date | None = None) -> httpx2.Response:
    """The listing of the full days from ``start`` to ``end``."""
    return client.get(
        "/appointments/getCalendarEventData",
        params={"start": f"{start} 00:00:00", "end": f"{end or start} 23:59:59"},
    )


def records_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """The listing's records, wherever its body keeps them."""
    body = response.json()
    if isinstance(body, list):
        return body
    return next(value for value in body.values() if isinstance(value, list))


def id_of(record: dict[str, Any]) -> str:
    """The appointment's own id as text."""
    return str(record.get("appointment_id") or record["id"])
