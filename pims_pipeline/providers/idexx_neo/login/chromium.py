"""Finding the browser, starting it, and making sure that it ends.

``attempt`` works with its pages. Playwright is imported inside the function that
starts a browser, because it costs time to import and a warm sync needs none.
"""

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pims_pipeline.providers.idexx_neo.login.environment import (
    BareLoop,
    bare_runner,
    browser_environment,
)
from pims_pipeline.providers.port import PimsError, TransientError
from pims_pipeline.providers.stop_signal import StopSignal

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

_T = TypeVar("_T")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    # The browser sends requests to the login page only.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Containers have neither, and a login needs neither.
    "--disable-gpu",
    "--disable-quic",
)
_NO_SANDBOX = ("No usable sandbox", "SUID sandbox helper", "namespace sandbox")
"""Chromium's own messages, one of which it ends with when its sandbox is not available."""
_CLOSE_TIMEOUT = 10.0
"""Seconds; after them the driver's process is killed, which ends its browsers."""


class BrowserUnavailable(PimsError):
    """There is no Chromium to log in with, or it does not start: the installation is at fault."""


def find_chromium(configured: Path | None) -> Path | None:
    """The Chromium to start; None means Playwright's own.

    Args:
        configured: What ``PIMS_CHROMIUM_PATH`` names; wins when given.
    """
    if configured is not None:
        return configured
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return Path(found) if found else None


def run_in_own_thread(work: Callable[[], Coroutine[object, object, _T]], stop: StopSignal) -> _T:
    """Run ``work`` on a loop of its own in a fresh thread, and wait for it.

    The caller may be any thread, with a running loop or without. When the wait is interrupted
    (Ctrl-C, or ``stop``), ``work`` is cancelled and has ended with its browser before the
    interruption goes on. Threads that ``work`` waits for watch ``stop``, so an interrupt sets it.
    """
    worker = _Worker(work)
    worker.start()
    try:
        return stop.result_of(worker.result)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            stop.stop()
        worker.cancel()
        worker.join()
        raise


class _Worker(threading.Thread, Generic[_T]):
    """A thread with one coroutine to run. Cancelling it when it is done does nothing."""

    def __init__(self, work: Callable[[], Coroutine[object, object, _T]]) -> None:
        super().__init__(name="idexx-neo-login", daemon=False)
        self.result: Future[_T] = Future()
        self._work = work
        self._lock = threading.Lock()
        self._cancelled = False
        self._end_task: Callable[[], object] | None = None

    def run(self) -> None:
        try:
            with bare_runner() as runner:
                outcome = runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting thread whole
            self.result.set_exception(error)
        else:
            self.result.set_result(outcome)

    async def _main(self) -> _T:
        task = asyncio.ensure_future(self._work())
        loop = asyncio.get_running_loop()
        with self._lock:
            self._end_task = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._cancelled:
                task.cancel()
        try:
            return await task
        finally:
            with self._lock:
                self._end_task = None

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._end_task is not None:
                self._end_task()


def uses_sandbox(*, user_id: int, allowed: bool) -> bool:
    """Whether Chromium runs its pages in its sandbox, which root cannot have.

    Args:
        user_id: The effective one of this process.
        allowed: False where ``PIMS_BROWSER_SANDBOX`` is off.
    """
    return allowed and user_id != 0


@contextlib.asynccontextmanager
async def browser_page(
    executable: Path | None, *, headless: bool, timeout_s: float, sandbox: bool = True
) -> AsyncIterator["Page"]:
    """A fresh page of a fresh browser, which is closed whatever happens.

    It needs a loop of ``bare_runner``, so that nothing it starts gets this process's
    environment.

    Args:
        executable: None means Playwright's own.
        headless: False shows the window.
        timeout_s: For the browser's start.
        sandbox: False starts it without Chromium's sandbox; root never has it.

    Raises:
        BrowserUnavailable: If there is no such browser, or it does not start.
        TransientError: If it did not start in time.
    """
    playwright = await _driver()
    try:
        browser = await _launched(
            playwright, executable, headless=headless, timeout_s=timeout_s, sandbox=sandbox
        )
        try:
            yield await _first_page(browser)
        finally:
            await _closed(browser.close())
    finally:
        await _closed(playwright.stop())


async def _driver() -> "Playwright":
    from playwright.async_api import Error, async_playwright  # noqa: PLC0415 - see the module

    _bare_loop()
    starting = asyncio.ensure_future(async_playwright().start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Half a driver cannot be stopped: let it come up, then stop it.
        driver = await starting
        await _closed(driver.stop())
        raise
    except (Error, OSError) as error:
        raise BrowserUnavailable(
            "Playwright's driver, which controls the browser, does not start. Run `make setup` to "
            "install it again."
        ) from error


def _bare_loop() -> BareLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, BareLoop):
        raise TypeError("a browser starts on a loop of bare_runner only")
    return loop


async def _first_page(browser: "Browser") -> "Page":
    from playwright.async_api import Error  # noqa: PLC0415 - see the module

    try:
        # The known messages are English, and a login downloads nothing.
        return await browser.new_page(accept_downloads=False, locale="en-US")
    except Error as error:
        raise TransientError(
            "Chromium crashed before it opened a page. Try again later."
        ) from error


async def _launched(
    playwright: "Playwright",
    executable: Path | None,
    *,
    headless: bool,
    timeout_s: float,
    sandbox: bool,
) -> "Browser":
    from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - see the module

    path = executable or Path(playwright.chromium.executable_path)
    if not path.is_file():
        raise BrowserUnavailable(
            f"No Chromium to log in with: {path} does not exist. Run `make setup`, or set "
            "PIMS_CHROMIUM_PATH to an installed Chromium or Chrome."
        )
    failure: PimsError
    try:
        return await playwright.chromium.launch(
            executable_path=path,
            headless=headless,
            args=list(_ARGUMENTS),
            env=browser_environment(os.environ, _bare_loop().scratch, headless=headless),
            chromium_sandbox=uses_sandbox(user_id=os.geteuid(), allowed=sandbox),
            timeout=timeout_s * 1000,
        )
    except TimeoutError:
        failure = TransientError(
            f"Chromium at {path} did not start within {timeout_s:.0f} s; the machine may be "
            "overloaded. Try again later."
        )
    except Error as error:
        failure = _start_failure(path, str(error))
    raise failure


def _start_failure(path: Path, words: str) -> BrowserUnavailable:
    """The error of a Chromium that does not start; its own ``words`` are not repeated."""
    if any(sign in words for sign in _NO_SANDBOX):
        return BrowserUnavailable(
            f"Chromium at {path} cannot start its sandbox. Allow unprivileged user "
            "namespaces (in a container: a seccomp profile that lets Chromium create them), or "
            "set PIMS_BROWSER_SANDBOX=false to log in without a sandbox."
        )
    return BrowserUnavailable(
        f"Chromium at {path} does not start. Try `{path} --version`; in a container it may lack "
        "libraries. Run `make setup`, or set PIMS_CHROMIUM_PATH to one that works."
    )


async def _closed(closing: Coroutine[object, object, None]) -> None:
    """Wait until something is closed; ignore that its process has ended already."""
    from playwright.async_api import Error  # noqa: PLC0415 - see the module

    with contextlib.suppress(Error, asyncio.TimeoutError):
        await asyncio.wait_for(closing, _CLOSE_TIMEOUT)
