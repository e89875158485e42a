"""Limits how many requests wait at once: each occupies a thread of the server.

A waiting request polls, with growing pauses, and holds no connection between polls.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

MOST_WAITERS = 16
"""At once; the server has forty threads."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_PAUSE_GROWTH = 1.5


class WaitingRoom:
    """The slots of waiting requests, shared by one application.

    Args:
        stopping: Set when the process shuts down: waiting ends.
        places: How many requests may wait at once.
    """

    def __init__(self, stopping: threading.Event, places: int = MOST_WAITERS) -> None:
        self._stopping = stopping
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a slot while the block runs; yields whether one was free."""
        has_room = self._places.acquire(blocking=False)
        try:
            yield has_room
        finally:
            if has_room:
                self._places.release()

    def polls(self, seconds: float) -> Iterator[None]:
        """Yield when to poll: at once, after growing pauses, and when time is up.

        Ends early when the process shuts down.
        """
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE_SECONDS
        yield
        while (left := deadline - time.monotonic()) > 0:
            if self._stopping.wait(min(pause, left)):
                return
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
            yield
