"""The browsers of this process: logins share one, a few at once, each with a context of its own.

A browser costs a second of CPU to start, a context little. A login gets the browser that runs, or
starts one. A browser gets no further login when one in it ended in any way but with a conclusion
about the vendor's page, or after ``LOGINS_PER_BROWSER``. It closes when its last login has ended,
when no login came for a while, and when the process ends. A forked child starts its own.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TypeVar

from pims_pipeline.providers.idexx_neo.login.browser_thread import (
    IDLE_SECONDS,
    LOGINS_PER_BROWSER,
    BrowserThread,
    PageLost,
    Work,
)
from pims_pipeline.providers.idexx_neo.login.chromium import BrowserStart, find_chromium
from pims_pipeline.providers.kept_open import close_when_idle
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.stop_signal import StopSignal

_T = TypeVar("_T")


class BrowserPool:
    """Runs logins in browsers that are started in one way; safe to share between threads."""

    def __init__(
        self,
        start: BrowserStart,
        at_once: int,
        *,
        most_logins: int = LOGINS_PER_BROWSER,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """No browser runs until the first login.

        Args:
            start: How to start a browser.
            at_once: How many logins run at once; others wait for their turn.
            most_logins: After so many a browser is replaced.
            idle_seconds: After so long without a login the browser is closed.
        """
        self._start = start
        self._most_logins = most_logins
        self._idle_seconds = idle_seconds
        self._turns = Turns(at_once)
        self._lock = threading.Lock()
        self._current: BrowserThread | None = None

    def log_in(self, work: Work[_T], stop: StopSignal) -> _T:
        """Run ``work`` with a page of its own; see ``BrowserThread.log_in``.

        Where the browser loses the page before anything was typed, another browser gets the work.

        Raises:
            RunStopped, TimeLimitReached: If ``stop`` ends the wait for a turn, or the login.
            TransientError: If the browsers lost their pages.
        """
        with suppress(PageLost):
            return self._log_in_once(work, stop)
        try:
            return self._log_in_once(work, stop)
        except PageLost as lost:
            raise lost.failure from None

    def close_idle(self) -> None:
        """Close the browser when its logins have ended; returns at once."""
        with self._lock:
            if self._current is not None:
                self._current.retire()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's browser."""
        if self._current is not None:
            self._current.abandon()

    def _log_in_once(self, work: Work[_T], stop: StopSignal) -> _T:
        with self._turns.turn(stop):
            return self._browser_to_use().log_in(work, stop)

    def _browser_to_use(self) -> BrowserThread:
        with self._lock:
            if self._current is None or not self._current.try_use():
                browser = BrowserThread(
                    self._start, most_logins=self._most_logins, idle_seconds=self._idle_seconds
                )
                browser.start()
                browser.try_use()
                self._current = browser
            return self._current


class Turns:
    """Grants a few turns at once, in the order in which they are asked for."""

    def __init__(self, at_once: int) -> None:
        """All turns are free."""
        self._free = at_once
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, stop: StopSignal) -> Iterator[None]:
        """A turn for as long as the block runs; waits for it until ``stop`` ends the wait."""
        mine: Future[None] = Future()
        with self._lock:
            self._waiting.append(mine)
            self._grant()
        try:
            stop.result_of(mine)
            yield
        finally:
            with self._lock:
                if mine.done():
                    self._free += 1
                else:
                    self._waiting.remove(mine)
                self._grant()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._lock:
            return len(self._waiting)

    def _grant(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft().set_result(None)


_pools: dict[tuple[BrowserStart, int], BrowserPool] = {}
_pools_lock = threading.Lock()
_of_the_parent: list[BrowserPool] = []
"""In a forked child: kept, so that Python does not close what the parent uses."""


def shared_pool(options: LoginOptions) -> BrowserPool:
    """This process's pool for logins with such options."""
    start = BrowserStart(
        executable=find_chromium(options.chromium_path),
        headless=options.headless,
        sandbox=options.sandbox,
        timeout=options.timeout,
    )
    key = (start, options.at_once)
    with _pools_lock:
        return _pools.setdefault(key, BrowserPool(start, options.at_once))


def close_idle_browsers() -> None:
    """Close each browser of this process when its logins have ended; returns at once."""
    with _pools_lock:
        pools = list(_pools.values())
    for pool in pools:
        pool.close_idle()


def _start_afresh() -> None:
    """After a fork, in the child: its threads are gone, and the parent's locks may be held."""
    global _pools_lock  # noqa: PLW0603 - replaced as a whole
    _pools_lock = threading.Lock()
    for pool in _pools.values():
        pool.abandon()
    _of_the_parent.extend(_pools.values())
    _pools.clear()


close_when_idle(close_idle_browsers)
os.register_at_fork(after_in_child=_start_afresh)
