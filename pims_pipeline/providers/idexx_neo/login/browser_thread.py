"""One browser for several logins, with its driver, in a thread with an event loop of its own.

Playwright's asyncio interface is used although everything else here is synchronous: only a task can
be cancelled at any moment, and an interrupted login must leave nothing behind. The thread starts
the browser, runs the logins on it, and closes it as soon as it must not or need not be used again.
Which browser a login gets, and how many run at once, belongs in ``pool``.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from pims_pipeline.providers.idexx_neo.login.chromium import (
    BrowserStart,
    bare_loop,
    closes_in_time,
    new_page,
    running_browser,
)
from pims_pipeline.providers.idexx_neo.login.environment import BareLoop, bare_runner
from pims_pipeline.providers.port import TransientError
from pims_pipeline.providers.stop_signal import StopSignal

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_T = TypeVar("_T")

LOGINS_PER_BROWSER = 50
"""After so many logins a browser is replaced; bench/logins.py shows its memory until then."""
IDLE_SECONDS = 10.0
"""A browser that no login has used for so long is closed."""
_PAGE_SECONDS = 10.0
"""For a running browser to open a page; one that takes longer hangs, and is replaced."""
_TICK_SECONDS = 0.1
"""How often the thread checks whether its browser is still needed."""
_LOOP_SECONDS = 30.0
"""For the thread to have a loop, which takes milliseconds."""
_END_SECONDS = 30.0
"""Longer than everything that a cancelled login, or a closing browser, waits for."""


class PageLost(Exception):
    """The browser lost its page before anything was typed: another browser may log in.

    Attributes:
        failure: The error of the login when there is no other browser to try.
    """

    def __init__(self, failure: TransientError) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass
class BrowserUse:
    """What a login gets of a browser.

    Attributes:
        page: A page of a context that is this login's alone.
        is_reusable: Set by the login when it has ended as expected; otherwise no other login gets
            this browser.
    """

    page: "Page" = field(init=False)
    is_reusable: bool = False


Work = Callable[[BrowserUse], Coroutine[object, object, _T]]


class BrowserThread:
    """A browser and its thread. Once it is retired, no other login gets it, and it closes."""

    def __init__(
        self,
        start: BrowserStart,
        *,
        most_logins: int,
        idle_seconds: float,
    ) -> None:
        """See ``BrowserPool``. Not started yet."""
        self._start = start
        self._most_logins = most_logins
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._users = 0
        self._logins = 0
        self._is_retired = False
        self._unused_since = monotonic()
        self._loop: Future[BareLoop] = Future()
        self._running: BareLoop | None = None
        self._started: asyncio.Future[Browser]
        self._browser: Browser | None = None
        # Not a daemon: the interpreter waits for its end, so that no browser outlives it.
        self._thread = threading.Thread(target=self._run, name="idexx-neo-browser", daemon=False)

    def start(self) -> None:
        """Start the thread, and in it the browser."""
        self._thread.start()

    def try_use(self) -> bool:
        """Whether one more login may run here; then ``log_in`` must follow."""
        with self._lock:
            if self._is_retired or self._is_used_up or self._has_broken:
                return False
            self._users += 1
            self._logins += 1
            return True

    def retire(self) -> None:
        """Let the logins that are running end, and then close the browser."""
        with self._lock:
            self._is_retired = True

    def log_in(self, work: Work[_T], stop: StopSignal) -> _T:
        """Run ``work`` with a fresh page, and wait for it.

        The caller may be any thread, with a running loop or without. When the wait is interrupted
        (Ctrl-C, or ``stop``), ``work`` is cancelled and has ended before the interruption goes on,
        and so has the browser unless another login uses it. Threads that ``work`` waits for watch
        ``stop``, so an interrupt sets it.

        Raises:
            PageLost: If the browser opens no page.
            BrowserUnavailable, TransientError: If the browser does not start.
        """
        use = BrowserUse()
        interrupted = False
        try:
            login = _Login(self._loop.result(timeout=_LOOP_SECONDS), self._used(use, work))
            try:
                return stop.result_of(login.ended)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    stop.stop()
                interrupted = login.cancel() or not isinstance(error, Exception)
                raise
        finally:
            is_last = self._give_back(is_reusable=use.is_reusable)
            if interrupted and is_last:
                self._thread.join(_END_SECONDS)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's browser. Takes no lock: it may be held."""
        if self._running is not None:
            self._running.abandon()

    def _give_back(self, *, is_reusable: bool) -> bool:
        """End a use; whether there is no other one."""
        with self._lock:
            self._users -= 1
            self._unused_since = monotonic()
            self._is_retired |= not is_reusable
            return not self._users

    @property
    def _is_used_up(self) -> bool:
        return self._logins >= self._most_logins

    @property
    def _has_broken(self) -> bool:
        """Whether the browser or its driver has ended by itself."""
        if self._running is None or self._browser is None:
            return False
        return self._running.driver_has_ended or not self._browser.is_connected()

    def _is_over(self) -> bool:
        with self._lock:
            if self._users:
                return False
            is_idle = monotonic() - self._unused_since >= self._idle_seconds
            # The interpreter ends when the main thread has, and waits for this one.
            is_last = not threading.main_thread().is_alive()
            self._is_retired |= is_idle or is_last or self._is_used_up or self._has_broken
            return self._is_retired

    def _run(self) -> None:
        try:
            with bare_runner() as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting thread whole
            if not self._loop.done():
                self._loop.set_exception(error)

    async def _main(self) -> None:
        """Start the browser, keep it until it is not needed, and close it."""
        loop = bare_loop()
        started: asyncio.Future[Browser] = loop.create_future()
        self._running, self._started = loop, started
        self._loop.set_result(loop)
        keeping = loop.create_task(self._keep_browser(started))
        while not self._is_over():  # noqa: ASYNC110 - other threads decide it
            await asyncio.sleep(_TICK_SECONDS)
        keeping.cancel()
        await asyncio.wait({keeping}, timeout=_END_SECONDS)

    async def _keep_browser(self, started: "asyncio.Future[Browser]") -> None:
        try:
            async with running_browser(self._start) as browser:
                self._browser = browser
                started.set_result(browser)
                await asyncio.get_running_loop().create_future()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)
            started.exception()  # perhaps no login waits for it any more

    async def _used(self, use: BrowserUse, work: Work[_T]) -> _T:
        """The result of ``work``, with a page of its own, which is closed by then."""
        browser = await asyncio.shield(self._started)
        lost: PageLost | None = None
        try:
            use.page = await new_page(browser, _PAGE_SECONDS)
        except TransientError as error:
            lost = PageLost(error)
        if lost is not None:
            raise lost
        try:
            return await work(use)
        finally:
            closed = await closes_in_time(use.page.context.close())
            use.is_reusable &= closed


class _Login(Generic[_T]):
    """A coroutine on the loop of another thread.

    Attributes:
        ended: Its result, once it has really ended, however it was cancelled.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, _T]
    ) -> None:
        self.ended: Future[_T] = Future()
        self._loop = loop
        self._task: asyncio.Task[_T] | None = None
        loop.call_soon_threadsafe(self._begin, work)

    def cancel(self) -> bool:
        """Cancel it and wait until it has ended; False if it had ended by itself."""
        if self.ended.done():
            return False
        self._loop.call_soon_threadsafe(self._cancel_task)
        wait_for_futures([self.ended], timeout=_END_SECONDS)
        return True

    def _begin(self, work: Coroutine[object, object, _T]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._pass_on)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _pass_on(self, task: "asyncio.Task[_T]") -> None:
        try:
            result = task.result()
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting thread whole
            self.ended.set_exception(error)
        else:
            self.ended.set_result(result)
