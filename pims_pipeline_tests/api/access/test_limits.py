"""The rate limits, the seconds to wait, and that memory stays bounded."""

import pytest

from pims_pipeline.api.access import rate_limit as module
from pims_pipeline.api.access.rate_limit import (
    FAILURES_PER_ADDRESS,
    FAILURES_PER_KEY,
    Limits,
)
from pims_pipeline.local_trust.clients import network_of
from pims_pipeline_tests.api.support.clock import Clock


@pytest.fixture
def limits(clock: Clock) -> Limits:
    """Three calls a minute."""
    return Limits(3, clock)


def test_each_key_has_its_own_limit_and_it_recovers_call_by_call(
    limits: Limits, clock: Clock
) -> None:
    waits = []
    for _ in range(3):
        waits.append(limits.wait_after_call("one"))
        clock.advance(seconds=10)
    waits.append(limits.wait_after_call("one"))

    assert waits == [0, 0, 0, 30]
    assert limits.wait_after_call("other") == 0
    clock.advance(seconds=30)
    assert limits.wait_after_call("one") == 0
    assert limits.wait_after_call("one") == 10


def test_a_clock_that_is_set_back_blocks_no_key(limits: Limits, clock: Clock) -> None:
    for _ in range(4):
        limits.wait_after_call("key")
    clock.advance(hours=-3)
    assert limits.wait_after_call("key") == 0


def test_refused_calls_do_not_count(limits: Limits, clock: Clock) -> None:
    for _ in range(50):
        limits.wait_after_call("key")
        clock.advance(seconds=1)

    clock.advance(seconds=11)

    assert limits.wait_after_call("key") == 0


def test_failures_count_per_prefix_and_per_address(limits: Limits) -> None:
    for _ in range(FAILURES_PER_KEY):
        limits.note_failure("192.0.2.1", "aaaaaaaa")

    assert limits.wait_after_failures("192.0.2.1", "aaaaaaaa") == 60
    assert limits.wait_after_failures("192.0.2.1", "bbbbbbbb") == 0
    assert limits.wait_after_failures("192.0.2.2", "aaaaaaaa") == 0
    for _ in range(FAILURES_PER_ADDRESS):
        limits.note_failure("192.0.2.3", None)
    assert limits.wait_after_failures("192.0.2.3", "bbbbbbbb") == 60
    assert limits.wait_after_failures("192.0.2.3", None) == 60


def test_random_prefixes_from_everywhere_do_not_fill_the_memory(
    limits: Limits, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(module, "_MOST_NAMES", 100)
    for number in range(1000):
        limits.note_failure(f"192.0.{number // 250}.{number % 250}", f"{number:08}")

    assert limits.names_kept == 200
    # Names are dropped once their hits no longer count.
    clock.advance(seconds=61)
    limits.note_failure("192.0.2.1", "aaaaaaaa")
    assert limits.names_kept == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("x" * 500, "x" * 64),
        ("", ""),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
