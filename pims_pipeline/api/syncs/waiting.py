"""Room for requests that wait: each occupies a thread of the server's, so there is little.

Whoever waits looks again and again, with growing pauses, and holds no connection meanwhile.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

MOST_WAITERS = 16
"""At once, of the server's forty threads."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_PAUSE_GROWTH = 1.5


class WaitingRoom:
    """Shared by all that wait in one application.

    Args:
        stopping: Set when the process is to end: nobody waits on then.
        places: How many may wait at once.
    """

    def __init__(self, stopping: threading.Event, places: int = MOST_WAITERS) -> None:
        self._stopping = stopping
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there is room for one more; it is taken for as long as the block runs."""
        has_room = self._places.acquire(blocking=False)
        try:
            yield has_room
        finally:
            if has_room:
                self._places.release()

    def looks(self, seconds: float) -> Iterator[None]:
        """Turns to look: the first at once, then after growing pauses, the last when time is up.

        There are no more of them once the process is to end.
        """
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE_SECONDS
        yield
        while (left := deadline - time.monotonic()) > 0:
            if self._stopping.wait(min(pause, left)):
                return
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
            yield
