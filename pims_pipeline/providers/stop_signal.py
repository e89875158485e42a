"""The signal that every wait observes: a stopped run, and time limits.

A run has one ``StopSignal``. Each clinic that is synced has a child of it with its own time limit.
Code that waits for a vendor waits through ``wait``, ``check`` or ``result_of``, so it ends as soon
as the run stops or the limit passes. The timeout of a single request belongs in ``http``.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from threading import Event
from typing import TypeVar

from pims_pipeline.providers.port import TimeLimitReached

POLL_SECONDS = 0.25
"""How often a wait checks the signal when nothing can wake it."""

LONGEST_SLEEP = 60.0
"""Seconds; a thread cannot sleep for an infinite time."""

Result = TypeVar("Result")


class RunStopped(BaseException):
    """The run was stopped; like KeyboardInterrupt, but it reaches every thread."""


class StopSignal:
    """Ends every wait that observes it; safe to share between threads.

    Example:
        >>> run = StopSignal(seconds=7200, explanation="the run took longer than 7200 s")
        >>> clinic = run.child(seconds=900, explanation="the clinic took longer than 900 s")
        >>> clinic.wait(0.5)  # returns after half a second
        >>> run.stop()
        >>> clinic.wait(60)  # raises RunStopped at once
    """

    def __init__(
        self,
        *,
        seconds: float = math.inf,
        explanation: str = "",
        on_stop: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the time limit.

        Args:
            seconds: The time limit, counted from now.
            explanation: The error's message when the limit passes: what took how long, and which
                setting allows more. No personal data.
            on_stop: Called once by ``stop``, to end waits that cannot observe the signal.
            clock: Gives monotonic seconds.
        """
        self._seconds = seconds
        self._explanation = explanation
        self._on_stop = on_stop
        self._clock = clock
        self._deadline = clock() + seconds
        self._parent: StopSignal | None = None
        self._stopped = Event()

    def child(self, *, seconds: float = math.inf, explanation: str = "") -> "StopSignal":
        """A signal that stops with this one, and has its own time limit as well."""
        signal = StopSignal(seconds=seconds, explanation=explanation, clock=self._clock)
        signal._parent, signal._stopped = self, self._stopped
        return signal

    def restart(self) -> None:
        """Restart this signal's own time limit; its parent's goes on."""
        self._deadline = self._clock() + self._seconds

    def stop(self) -> None:
        """End every wait with ``RunStopped``, now and from now on."""
        self._stopped.set()
        on_stop, self._on_stop = self._on_stop, None
        if on_stop is not None:
            on_stop()

    @property
    def is_stopped(self) -> bool:
        """Whether ``stop`` was called; time limits do not count."""
        return self._stopped.is_set()

    def left(self) -> float:
        """Seconds until the first time limit; never negative, infinite without a limit."""
        own = max(self._deadline - self._clock(), 0.0)
        return own if self._parent is None else min(own, self._parent.left())

    def check(self) -> None:
        """Return if neither a stop nor a time limit ends the work.

        Raises:
            RunStopped: If the run was stopped.
            TimeLimitReached: If a time limit has passed.
        """
        if self._stopped.is_set():
            raise RunStopped
        if self._parent is not None:
            self._parent.check()
        if self._clock() >= self._deadline:
            raise TimeLimitReached(self._explanation)

    def wait(self, seconds: float) -> None:
        """Wait; raises like ``check`` as soon as the run stops or a limit passes."""
        self.check()
        end = self._clock() + seconds
        while (now := self._clock()) < end:
            self._stopped.wait(min(end - now, self.left(), LONGEST_SLEEP))
            self.check()

    def result_of(self, future: "Future[Result]") -> Result:
        """The result of work in another thread; raises like ``check`` while waiting.

        This ends the wait, not the work, which must end by itself.
        """
        while not wait_for_futures([future], timeout=min(POLL_SECONDS, self.left())).done:
            self.check()
        return future.result(timeout=0)
