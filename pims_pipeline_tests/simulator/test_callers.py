"""The simulator serves programs on this machine and its own pages, and no other page."""

from collections.abc import Iterator, Mapping

import httpx2
import pytest

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def anyone(base_url: str) -> Iterator[httpx2.Client]:
    """A caller that sends a request with the headers of the test's choice."""
    with httpx2.Client(base_url=base_url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/login", "/_control/stats", "/logout", "/nowhere"])
@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:80", "10.0.0.7", "", "a b"])
def test_a_name_of_another_machine_is_misdirected(
    anyone: httpx2.Client, path: str, host: str
) -> None:
    refused = anyone.get(path, headers={"Host": host})

    assert refused.status_code == 421
    assert refused.json().keys() == {"error"}


@pytest.mark.parametrize("headers", [
    {**JSON, "Origin": "http://127.0.0.1:9"}, {**JSON, "Origin": "null"},
    {**JSON, "Sec-Fetch-Site": "cross-site"}, {**JSON, "Sec-Fetch-Site": "same-site"},
])  # fmt: skip
@pytest.mark.parametrize("path", ["/_control/reset", "/login", "/calendar/book"])
def test_a_page_of_another_server_sends_nothing(
    anyone: httpx2.Client, path: str, headers: Mapping[str, str]
) -> None:
    assert anyone.post(path, headers=headers).status_code == 403


@pytest.mark.parametrize("content_type", [
    "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "",
])  # fmt: skip
@pytest.mark.parametrize("path", ["/_control/reset", "/_control/clinics/1001/sessions/expire"])
def test_the_control_interface_takes_json_alone(
    anyone: httpx2.Client, path: str, content_type: str
) -> None:
    refused = anyone.post(path, headers={"Content-Type": content_type}, content="{}")

    assert refused.status_code == 415
    assert "Content-Type: application/json" in refused.json()["error"]


@pytest.mark.parametrize("headers", [
    JSON, {"Content-Type": "application/json; charset=utf-8"},
    {**JSON, "Sec-Fetch-Site": "same-origin"},
])  # fmt: skip
def test_a_program_may_control_it(anyone: httpx2.Client, headers: Mapping[str, str]) -> None:
    assert anyone.post("/_control/reset", headers=headers).json() == {"ok": True}


def test_its_own_pages_may_and_localhost_is_a_name_of_it(anyone: httpx2.Client) -> None:
    port = anyone.base_url.port
    headers = {**JSON, "Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}

    assert anyone.post("/_control/reset", headers=headers).json() == {"ok": True}
