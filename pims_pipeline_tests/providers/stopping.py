"""Work in a thread of its own, which a stop must end wherever it is."""

import time
from collections.abc import Callable
from threading import Event, Thread

from pims_pipeline.providers.stop_signal import StopSignal

DEADLINE_S = 30
"""Seconds. Work that is stopped ends at once; what it waits for takes far longer."""


def eventually(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
    """Wait until the condition holds."""
    deadline, pause = time.monotonic() + seconds, Event()
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        pause.wait(0.02)


def ended_by_stop(
    work: Callable[[], object], stop: StopSignal, once: Callable[[], bool]
) -> BaseException:
    """What ended ``work`` in its own thread when the run stopped, once that was so."""
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            outcome.append(error)

    thread = Thread(target=run)
    thread.start()
    eventually(once)
    stop.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    return outcome[0]
