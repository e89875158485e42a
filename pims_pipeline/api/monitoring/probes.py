"""Checks of services that may hang, for callers that repeat every few seconds.

What to check belongs in ``readiness`` and ``scrapes``.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pims_pipeline.observability.logging import get_logger

PROBE_SECONDS = 3
"""The timeout of a probe."""
KEPT_SECONDS = 1
"""How long a result is valid, unless a caller accepts an older one."""

Result = TypeVar("Result")

_log = get_logger(__name__)


class Probe(Generic[Result]):
    """A check that runs at most once at a time and once a second, for any number of callers.

    Callers use no thread of those that serve clients, and wait a few seconds at most. A check
    that hangs is not started again until it ends. The first failure is logged, without the
    message of the error: it may name a host.
    """

    def __init__(
        self,
        name: str,
        check: Callable[[], Result],
        *,
        seconds: float = PROBE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the probe; checks nothing yet.

        Args:
            name: Its name in the log.
            check: The check; runs in a thread of its own.
            seconds: The timeout of callers.
            clock: Monotonic seconds.
        """
        self._name = name
        self._check = check
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._current: Future[Result] | None = None
        self._ended_at = 0.0
        self._failing: str | None = None

    async def latest(self, *, kept_seconds: float = KEPT_SECONDS) -> Result:
        """Return a result that is at most ``kept_seconds`` old.

        Raises:
            TimeoutError: If the check does not end in time.
            Exception: The error of the check.
        """
        future = asyncio.wrap_future(self._future(kept_seconds))
        try:
            result = await asyncio.wait_for(future, self._seconds)
        except Exception as error:
            self._note(type(error).__name__)
            raise
        self._note(None)
        return result

    def _note(self, failing: str | None) -> None:
        """Log the first failure, and the first success after it."""
        if failing == self._failing:
            return
        self._failing = failing
        if failing is None:
            _log.info("probe_answered_again", probe=self._name)
        else:
            _log.warning("probe_failed", probe=self._name, error=failing)

    def _future(self, kept_seconds: float = KEPT_SECONDS) -> "Future[Result]":
        with self._lock:
            if self._current is None or (
                self._current.done() and self._clock() >= self._ended_at + kept_seconds
            ):
                self._current = Future()
                # A caller that times out must not cancel it.
                self._current.set_running_or_notify_cancel()
                # A daemon: a check that hangs must not keep the process alive.
                threading.Thread(target=self._work, args=(self._current,), daemon=True).start()
            return self._current

    def _work(self, future: "Future[Result]") -> None:
        try:
            result = self._check()
        except Exception as error:  # noqa: BLE001 - the caller gets any error
            self._ended_at = self._clock()
            future.set_exception(error)
        else:
            self._ended_at = self._clock()
            future.set_result(result)
