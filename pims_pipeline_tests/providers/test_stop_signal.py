"""The signal that ends waits: by a stop, by a time limit, and in time order."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from pims_pipeline.providers.port import TimeLimitReached
from pims_pipeline.providers.stop_signal import RunStopped, StopSignal

DEADLINE_S = 30
LONG = 600.0


class Clock:
    """Moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_reason_to_stop_a_wait_takes_its_time_and_returns() -> None:
    StopSignal(seconds=LONG).wait(0.01)


def test_a_stop_ends_every_wait_of_the_run_and_its_clinics() -> None:
    run = StopSignal()
    clinics = [run.child(seconds=LONG), run.child()]
    waiting = [Event(), Event(), Event()]

    def wait(signal: StopSignal, began: Event) -> str:
        began.set()
        try:
            signal.wait(LONG)
        except RunStopped:
            return "stopped"
        return "waited"

    with ThreadPoolExecutor(3) as threads:
        ends = [
            threads.submit(wait, signal, began)
            for signal, began in zip([run, *clinics], waiting, strict=True)
        ]
        assert all(began.wait(DEADLINE_S) for began in waiting)
        run.stop()
        assert [end.result(DEADLINE_S) for end in ends] == ["stopped"] * 3


def test_a_wait_beyond_the_time_limit_ends_with_the_limits_explanation() -> None:
    signal = StopSignal(seconds=0.05, explanation="too long at riverbend")
    with pytest.raises(TimeLimitReached, match="too long at riverbend"):
        signal.wait(LONG)


def test_the_first_limit_to_pass_explains_itself() -> None:
    clock = Clock()
    run = StopSignal(seconds=10, explanation="the run", clock=clock)
    clinic = run.child(seconds=4, explanation="the clinic")
    clock.now = 5
    with pytest.raises(TimeLimitReached, match="the clinic"):
        clinic.check()
    run.check()
    clock.now = 10
    with pytest.raises(TimeLimitReached, match="the run"):
        clinic.check()


def test_a_limit_that_starts_again_leaves_the_runs_as_it_is() -> None:
    clock = Clock()
    run = StopSignal(seconds=10, explanation="the run", clock=clock)
    clinic = run.child(seconds=4, explanation="the clinic")
    for clock.now in (3, 6, 9):
        clinic.check()
        clinic.restart()
    assert clinic.left() == 1
    clock.now = 10
    with pytest.raises(TimeLimitReached, match="the run"):
        clinic.check()


def test_a_stop_outweighs_a_limit() -> None:
    signal = StopSignal(seconds=0)
    signal.stop()
    with pytest.raises(RunStopped):
        signal.check()


def test_the_wait_for_a_result_ends_when_the_run_stops() -> None:
    signal = StopSignal()
    never: Future[str] = Future()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(signal.result_of, never)
        signal.stop()
        assert isinstance(waiting.exception(DEADLINE_S), RunStopped)


def test_a_result_is_given_and_an_error_raised() -> None:
    done, failed = Future[str](), Future[str]()
    done.set_result("done")
    failed.set_exception(TimeoutError("its own"))
    assert StopSignal().result_of(done) == "done"
    with pytest.raises(TimeoutError, match="its own"):
        StopSignal().result_of(failed)
