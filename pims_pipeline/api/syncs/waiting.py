"""Limits how many requests wait at once, and how often they poll: each occupies a thread.

A waiting request holds no connection between polls. A poll asks the database and often Dagster, so
all waiting requests together poll ``MOST_POLLS_PER_SECOND`` times at most. Short waits end soon
after their sync: the pauses grow with the time waited, to a tenth of it.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

MOST_WAITERS = 64
"""At once, such as the clients of many clinics at the full hour; the server has more threads."""
MOST_POLLS_PER_SECOND = 16
"""Of all waiting requests together, once each has polled a few times."""
_MOST_POLLS_AT_FIRST = 64
"""The same before that: many may begin to wait at once."""
_FIRST_PAUSE_SECONDS = 0.1
_SHORT_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 1.0
_PAUSE_GROWTH = 1.5
_PAUSE_PART = 0.1
"""Of the time waited."""


class WaitingRoom:
    """The slots of waiting requests, shared by one application.

    Args:
        stopping: Set when the process shuts down: waiting ends.
        places: How many requests may wait at once.
        places_each: How many of them may be one clinic's.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        stopping: threading.Event,
        places: int = MOST_WAITERS,
        places_each: int = MOST_WAITERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopping = stopping
        self._places = places
        self._places_each = places_each
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = 0
        self._taken_by: Counter[UUID | None] = Counter()

    @contextmanager
    def place(self, clinic_id: UUID | None = None) -> Iterator[bool]:
        """Take a slot while the block runs; yields whether one was free."""
        with self._lock:
            has_room = self._taken < self._places and self._taken_by[clinic_id] < self._places_each
            self._taken += has_room
            self._taken_by[clinic_id] += has_room
        try:
            yield has_room
        finally:
            with self._lock:
                self._taken -= has_room
                self._taken_by[clinic_id] -= has_room
                if not self._taken_by[clinic_id]:
                    del self._taken_by[clinic_id]

    def polls(self, seconds: float) -> Iterator[None]:
        """Yield when to poll: at once, after growing pauses, and when time is up.

        Ends early when the process shuts down.
        """
        start = self._clock()
        pause = max(_FIRST_PAUSE_SECONDS, self._taken / _MOST_POLLS_AT_FIRST)
        yield
        while (left := start + seconds - self._clock()) > 0:
            if self._stopping.wait(min(pause, left)):
                return
            pause = min(pause * _PAUSE_GROWTH, self._longest_pause(self._clock() - start))
            yield

    def _longest_pause(self, waited: float) -> float:
        shared = self._taken / MOST_POLLS_PER_SECOND
        return max(
            shared, min(_LONGEST_PAUSE_SECONDS, max(_SHORT_PAUSE_SECONDS, waited * _PAUSE_PART))
        )
