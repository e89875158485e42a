"""The token bucket, on a clock that moves only during a sleep."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pims_pipeline.providers.http.rate_limit import TokenBucket, bucket_for


class SleepingClock:
    def __init__(self) -> None:
        self.now = 100.0
        self.naps: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.naps.append(seconds)

    def __call__(self) -> float:
        return self.now


def test_the_first_request_goes_at_once_and_the_others_are_spaced() -> None:
    clock = SleepingClock()
    bucket = TokenBucket(10, clock=clock)
    for _ in range(4):
        bucket.take(clock.sleep)
    assert clock.naps == pytest.approx([0.1, 0.2, 0.3])


def test_an_idle_time_saves_up_no_burst() -> None:
    clock = SleepingClock()
    bucket = TokenBucket(10, clock=clock)
    clock.now += 60
    bucket.take(clock.sleep)
    bucket.take(clock.sleep)
    assert clock.naps == pytest.approx([0.1])


def test_no_second_sees_more_requests_than_the_rate_from_any_number_of_threads() -> None:
    clock = SleepingClock()
    bucket = TokenBucket(10, clock=clock)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: bucket.take(clock.sleep), range(50)))
    moments = sorted([0.0, *clock.naps])
    assert moments == pytest.approx([index / 10 for index in range(50)])


def test_a_pause_delays_every_caller() -> None:
    clock = SleepingClock()
    bucket = TokenBucket(10, clock=clock)
    bucket.hold_off(5)
    bucket.take(clock.sleep)
    bucket.take(clock.sleep)
    assert clock.naps == pytest.approx([5, 5.1])


def test_one_account_has_one_bucket_at_the_lowest_rate() -> None:
    first = bucket_for("one account", 10)
    assert bucket_for("one account", 4) is first
    assert bucket_for("one account", 8).rate == 4
    assert bucket_for("another account", 10) is not first


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_that_allows_no_request_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        TokenBucket(rate)
