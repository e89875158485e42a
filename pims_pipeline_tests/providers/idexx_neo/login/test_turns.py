"""Turns to log in: so many at once, in order, and none is lost."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from pims_pipeline.providers.idexx_neo.login.pool import Turns
from pims_pipeline.providers.port import TimeLimitReached
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal
from pims_pipeline_tests.providers.stopping import ended_by_stop, eventually


def is_free(turns: Turns) -> bool:
    try:
        with turns.turn(StopSignal(seconds=0.01)):
            return True
    except TimeLimitReached:
        return False


def has_waiting(turns: Turns, number: int) -> bool:
    return turns.waiting == number


def test_a_stop_ends_the_wait_for_a_turn_and_gives_none_away() -> None:
    turns, stop = Turns(1), StopSignal()

    def wait() -> None:
        with turns.turn(stop):
            raise AssertionError("it was not its turn")

    with turns.turn(StopSignal()):
        ended = ended_by_stop(wait, stop, lambda: turns.waiting == 1)
        assert isinstance(ended, RunStopped)
        assert not is_free(turns)
    assert is_free(turns)


def test_a_wait_for_a_turn_ends_with_the_clinics_time_limit() -> None:
    turns = Turns(1)
    with turns.turn(StopSignal()), pytest.raises(TimeLimitReached, match="too long"):  # noqa: SIM117
        with turns.turn(StopSignal(seconds=0.01, explanation="the clinic took too long")):
            raise AssertionError("it was not its turn")


def test_a_failed_login_ends_its_turn() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="broken"), turns.turn(StopSignal()):
        raise ValueError("broken")
    assert is_free(turns)


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(1), list[int]()

    def take(number: int) -> None:
        with turns.turn(StopSignal()):
            order.append(number)

    with ThreadPoolExecutor(3) as threads, turns.turn(StopSignal()):
        for number in range(3):
            threads.submit(take, number)
            eventually(partial(has_waiting, turns, number + 1))
    assert order == [0, 1, 2]
