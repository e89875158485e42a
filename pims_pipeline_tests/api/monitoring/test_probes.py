"""A probe runs its check once at a time, and callers wait briefly."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pims_pipeline.api.monitoring.probes import Probe


class Clock:
    """Moves when a test sets it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Check:
    """Counts its calls; returns the number of the call once it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None
        self.may_return = threading.Event()
        self.may_return.set()

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.may_return.wait()
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def check() -> Iterator[Check]:
    check = Check()
    yield check
    check.may_return.set()


def test_a_result_is_valid_for_a_second(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, clock=clock)
    assert [asyncio.run(probe.latest()) for _ in range(3)] == [1, 1, 1]
    clock.seconds = 0.99
    assert asyncio.run(probe.latest()) == 1
    clock.seconds = 1
    assert asyncio.run(probe.latest()) == 2


def test_a_caller_may_accept_an_older_result(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, clock=clock)
    assert asyncio.run(probe.latest(kept_seconds=10)) == 1
    clock.seconds = 9
    assert asyncio.run(probe.latest(kept_seconds=10)) == 1
    assert asyncio.run(probe.latest()) == 2
    clock.seconds = 18.5
    assert asyncio.run(probe.latest(kept_seconds=10)) == 2


def test_concurrent_callers_share_one_check(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, clock=clock)

    async def all_at_once() -> list[int]:
        check.may_return.clear()
        tasks = [asyncio.create_task(probe.latest()) for _ in range(50)]
        await asyncio.sleep(0)
        check.may_return.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(all_at_once()) == [1] * 50


def test_a_check_that_hangs_times_out_and_is_not_repeated(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, seconds=0.01, clock=clock)
    check.may_return.clear()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            asyncio.run(probe.latest())
        clock.seconds += 60
    assert check.calls == 1


def test_a_late_result_is_returned_to_the_next_caller(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, seconds=0.3, clock=clock)
    check.may_return.clear()
    with pytest.raises(TimeoutError):
        asyncio.run(probe.latest())
    late = probe._future()
    check.may_return.set()
    assert late.result(30) == 1
    assert asyncio.run(probe.latest()) == 1


def test_an_error_is_valid_as_long_as_a_result(clock: Clock, check: Check) -> None:
    probe = Probe("a check", check, clock=clock)
    check.error = ValueError("no")
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(probe.latest())
    check.error = None
    clock.seconds = 1
    assert asyncio.run(probe.latest()) == 2


def test_the_first_failure_and_the_recovery_are_logged(
    clock: Clock, check: Check, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    probe = Probe("a check", check, clock=clock)
    check.error = ValueError("at database.internal")
    for seconds in (0, 1, 2, 3):
        clock.seconds = seconds
        if seconds == 2:
            check.error = None
        with suppress(ValueError):
            asyncio.run(probe.latest())
    logged = [line for line in caplog.messages if "probe" in line]
    assert ["probe_failed" in line for line in logged] == [True, False]
    assert "probe_answered_again" in logged[1]
    assert "database.internal" not in caplog.text
