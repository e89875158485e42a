"""How many requests wait at once, and how often they poll."""

import threading
from contextlib import ExitStack
from itertools import pairwise

import pytest

from pims_pipeline.api.syncs.waiting import MOST_POLLS_PER_SECOND, MOST_WAITERS, WaitingRoom


class Time(threading.Event):
    """A clock that moves when it is waited for; set once ``end`` is reached."""

    def __init__(self, end: float = float("inf")) -> None:
        super().__init__()
        self.now = 0.0
        self._end = end

    def clock(self) -> float:
        """Monotonic seconds."""
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        """Move on."""
        assert timeout is not None
        self.now += timeout
        return self.now >= self._end


def polls(time: Time, seconds: float, waiters: int = 1) -> list[float]:
    """When one of several waiting requests polls."""
    room = WaitingRoom(time, clock=time.clock)
    with ExitStack() as stack:
        for _ in range(waiters):
            assert stack.enter_context(room.place())
        return [time.now for _ in room.polls(seconds)]


def test_a_request_polls_at_once_and_when_its_time_is_up() -> None:
    found = polls(Time(), 7.3)

    assert found[0] == 0
    assert found[-1] == pytest.approx(7.3)


def test_without_time_it_polls_once() -> None:
    assert polls(Time(), 0) == [0.0]


def test_a_request_waits_for_the_end_of_its_sync_by_a_tenth_of_the_wait_at_most() -> None:
    for before, after in pairwise(polls(Time(), 120)):
        assert after - before <= min(1.0, max(0.25, before / 10)) + 1e-9


def test_a_long_wait_polls_about_once_a_second() -> None:
    assert len([each for each in polls(Time(), 120) if each > 20]) <= 101


def test_many_waiting_requests_poll_no_more_often_in_all_than_a_few() -> None:
    for waiters in (4, 9, 16, MOST_WAITERS):
        polled = polls(Time(), 60, waiters)[:-1]
        rates = {
            after: waiters / (after - before) for before, after in pairwise(polled) if before > 0
        }
        assert max(rates.values()) <= 64
        assert max(rate for at, rate in rates.items() if at > 9) <= MOST_POLLS_PER_SECOND + 1e-9


def test_waiting_ends_when_the_process_shuts_down() -> None:
    assert polls(Time(end=5), 120)[-1] < 5


def test_a_slot_is_free_again_when_its_request_has_ended() -> None:
    room = WaitingRoom(threading.Event(), places=2)
    with room.place() as first, room.place() as second, room.place() as third:
        assert (first, second, third) == (True, True, False)
    with room.place() as fourth:
        assert fourth
