"""Which Host and which Origin are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.local_trust.origins import (
    Authority,
    OwnAddresses,
    own_addresses,
    parse_authority,
    parse_origin,
    refuse_foreign,
)

LOCAL = own_addresses("127.0.0.1", 3000)
NAMED = own_addresses("127.0.0.1", 3000, ["pims.example", "other.example:8443"])
EVERYWHERE = own_addresses("0.0.0.0", 3000)  # noqa: S104 - an argument of the test
PROBED = own_addresses("127.0.0.1", 8000, any_address=True)


@pytest.mark.parametrize(("own", "host"), [
    (LOCAL, "127.0.0.1:3000"), (LOCAL, "localhost:3000"), (LOCAL, "LocalHost:3000"),
    (LOCAL, "[::1]:3000"),
    (NAMED, "pims.example"), (NAMED, "pims.example:443"), (NAMED, "pims.example:3000"),
    (NAMED, "other.example:8443"), (NAMED, "localhost:3000"),
    (EVERYWHERE, "192.0.2.7:3000"), (EVERYWHERE, "[2001:db8::1]:3000"),
    (PROBED, "10.1.2.3"), (PROBED, "localhost:8000"),
    (own_addresses("build.example", 3000), "build.example:3000"),
    (own_addresses("::1", 3000), "[::1]:3000"),
])  # fmt: skip
def test_a_request_that_names_this_server_is_served(own: OwnAddresses, host: str) -> None:
    assert refuse_foreign(own, [host], []) is None


@pytest.mark.parametrize(("own", "hosts"), [
    (LOCAL, []), (LOCAL, [""]), (LOCAL, ["evil.example:3000"]), (LOCAL, ["127.0.0.1"]),
    (LOCAL, ["127.0.0.1:3001"]), (LOCAL, ["127.0.0.1:3000", "127.0.0.1:3000"]),
    (LOCAL, ["localhost.evil.example:3000"]), (LOCAL, ["localhost.:3000"]),
    (LOCAL, ["evil@localhost:3000"]), (LOCAL, ["localhost:3000/"]), (LOCAL, ["localhost:3000\n"]),
    (LOCAL, ["192.0.2.7:3000"]), (NAMED, ["pims.example:8080"]), (NAMED, ["other.example"]),
    (NAMED, ["www.pims.example"]), (EVERYWHERE, ["evil.example:3000"]),
    (EVERYWHERE, ["1.2.3.4.evil.example"]), (PROBED, ["evil.example:8000"]),
])  # fmt: skip
def test_a_request_that_names_another_server_is_misdirected(
    own: OwnAddresses, hosts: list[str]
) -> None:
    refusal = refuse_foreign(own, hosts, [])

    assert refusal is not None
    assert refusal.status == 421
    assert "PIMS_ALLOWED_HOSTS" in refusal.reason


@pytest.mark.parametrize(("own", "host", "origin"), [
    (LOCAL, "127.0.0.1:3000", "http://127.0.0.1:3000"),
    (LOCAL, "localhost:3000", "http://localhost:3000"),
    (NAMED, "pims.example", "https://pims.example"), (NAMED, "pims.example", "http://pims.example"),
    # A proxy in front has replaced Host by the address that it asks.
    (NAMED, "127.0.0.1:3000", "https://pims.example"),
    (NAMED, "127.0.0.1:3000", "https://other.example:8443"),
])  # fmt: skip
def test_a_page_of_this_server_may_command_it(own: OwnAddresses, host: str, origin: str) -> None:
    assert refuse_foreign(own, [host], [origin]) is None


@pytest.mark.parametrize(("own", "host", "origins"), [
    (LOCAL, "127.0.0.1:3000", ["http://127.0.0.1:8400"]),
    # Another program may listen there, on the other kind of loopback.
    (LOCAL, "127.0.0.1:3000", ["http://localhost:3000"]),
    (LOCAL, "127.0.0.1:3000", ["http://127.0.0.2:3000"]),
    (LOCAL, "127.0.0.1:3000", ["null"]), (LOCAL, "127.0.0.1:3000", [""]),
    (LOCAL, "127.0.0.1:3000", ["file://"]), (LOCAL, "127.0.0.1:3000", ["http://127.0.0.1"]),
    (LOCAL, "127.0.0.1:3000", ["https://127.0.0.1:3000.evil.example"]),
    (LOCAL, "127.0.0.1:3000", ["http://127.0.0.1:3000", "http://127.0.0.1:3000"]),
    (LOCAL, "127.0.0.1:3000", ["chrome-extension://abcdef"]),
    (NAMED, "pims.example", ["https://evil.example"]),
    (NAMED, "pims.example", ["https://pims.example:8080"]),
    (EVERYWHERE, "192.0.2.7:3000", ["http://192.0.2.8:3000"]),
])  # fmt: skip
def test_a_page_of_another_server_may_not(own: OwnAddresses, host: str, origins: list[str]) -> None:
    refusal = refuse_foreign(own, [host], origins)

    assert refusal is not None
    assert refusal.status == 403


def test_an_origin_that_is_trusted_by_name_may_call() -> None:
    page = ["https://app.example"]

    assert refuse_foreign(LOCAL, ["127.0.0.1:3000"], page, trusted_origins=page) is None
    assert refuse_foreign(LOCAL, ["127.0.0.1:3000"], page) is not None


@given(st.text(max_size=40))
def test_any_header_is_understood_or_not_ours(text: str) -> None:
    for parsed in (parse_authority(text), parse_origin(text)):
        assert parsed is None or isinstance(parsed, Authority)
    if text.lower() not in {"127.0.0.1:3000", "localhost:3000", "[::1]:3000"}:
        assert not LOCAL.is_host(text)
