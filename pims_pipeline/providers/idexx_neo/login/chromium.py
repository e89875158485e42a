"""Finding the browser, starting it, opening a page of a login, and closing what was opened.

``browser_thread`` keeps a browser for several logins; ``attempt`` works with its pages. Playwright
is imported inside the functions, because it costs time to import and a warm sync needs none.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pims_pipeline.domain.errors import ExtraNotInstalled, needing_extra
from pims_pipeline.providers.idexx_neo.login.arguments import ARGUMENTS
from pims_pipeline.providers.idexx_neo.login.environment import BareLoop, browser_environment
from pims_pipeline.providers.port import PimsError, TransientError

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NO_SANDBOX = ("No usable sandbox", "SUID sandbox helper", "namespace sandbox")
"""Chromium's own messages, one of which it ends with when its sandbox is not available."""
_CLOSE_TIMEOUT = 2.5
"""Seconds; what has not closed by then is killed when its loop ends. Ctrl-C waits for a context and
then its browser."""
_DRIVER_TIMEOUT = 10.0
"""Seconds for a driver that is not wanted any more to come up, so that it can be stopped."""


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


def uses_sandbox(*, user_id: int, allowed: bool) -> bool:
    """Whether Chromium runs its pages in its sandbox, which root cannot have.

    Args:
        user_id: The effective one of this process.
        allowed: False where ``PIMS_BROWSER_SANDBOX`` is off.
    """
    return allowed and user_id != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserStart:
    """Which browser to start, and how.

    Attributes:
        executable: None means Playwright's own.
        headless: False shows the window.
        sandbox: False starts it without Chromium's sandbox; root never has it.
        timeout: Seconds for the driver and the browser together.
    """

    executable: Path | None = None
    headless: bool = True
    sandbox: bool = True
    timeout: float = 30.0


@contextlib.asynccontextmanager
async def running_browser(start: BrowserStart) -> AsyncIterator["Browser"]:
    """A browser with a driver of its own, both closed whatever happens.

    It needs a loop of ``bare_runner``, so that nothing it starts gets this process's
    environment.

    Raises:
        BrowserUnavailable: If there is no such browser, or it does not start.
        TransientError: If it did not start in time.
    """
    deadline = asyncio.get_running_loop().time() + start.timeout
    playwright = await _driver(start.timeout)
    try:
        browser = await _launched(playwright, start, deadline)
        try:
            yield browser
        finally:
            await closes_in_time(browser.close())
    finally:
        await closes_in_time(playwright.stop())


async def new_page(browser: "Browser", timeout_s: float) -> "Page":
    """A page of a new context, which shares nothing with those of other logins.

    Raises:
        TransientError: If the browser does not open one in time, or has crashed.
    """
    from playwright.async_api import Error  # noqa: PLC0415 - see the module

    context = None
    try:
        async with asyncio.timeout(timeout_s):
            # The known messages are English, and a login downloads nothing.
            context = await browser.new_context(accept_downloads=False, locale="en-US")
            return await context.new_page()
    except BaseException as error:
        if context is not None:
            await closes_in_time(context.close())
        if not isinstance(error, Error | TimeoutError):
            raise
    raise TransientError("Chromium crashed before it opened a page. Try again later.")


async def _driver(timeout_s: float) -> "Playwright":
    try:
        with needing_extra("browser", "A login at IDEXX Neo"):
            from playwright.async_api import (  # noqa: PLC0415 - see the module
                Error,
                async_playwright,
            )
    except ExtraNotInstalled as error:
        raise BrowserUnavailable(str(error)) from error
    bare_loop()
    starting = asyncio.ensure_future(async_playwright().start())
    try:
        return await asyncio.wait_for(asyncio.shield(starting), timeout_s)
    except (asyncio.CancelledError, TimeoutError) as error:
        # Half a driver cannot be stopped: let it come up, then stop it.
        with contextlib.suppress(Error, OSError, asyncio.TimeoutError):
            driver = await asyncio.wait_for(starting, _DRIVER_TIMEOUT)
            await closes_in_time(driver.stop())
        if isinstance(error, asyncio.CancelledError):
            raise
    # A driver that ends at once, for want of a library, raises no class of Playwright's own.
    except Exception as error:
        raise BrowserUnavailable(
            "Playwright's driver, which controls the browser, does not start. Install the package "
            "playwright again; in a container it may lack libraries, such as libatomic1."
        ) from error
    raise TransientError(
        f"Playwright's driver did not start within {timeout_s:.0f} s; the machine may be "
        "overloaded. Try again later."
    )


def bare_loop() -> BareLoop:
    """The running loop.

    Raises:
        TypeError: If it is not one of ``bare_runner``.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, BareLoop):
        raise TypeError("a browser starts on a loop of bare_runner only")
    return loop


async def _launched(playwright: "Playwright", start: BrowserStart, deadline: float) -> "Browser":
    from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - see the module

    path = start.executable or Path(playwright.chromium.executable_path)
    if not path.is_file():
        raise BrowserUnavailable(
            f"No Chromium to log in with: {path} does not exist. Install Chromium or "
            "Chrome (in a clone: `make setup`), or set PIMS_CHROMIUM_PATH to an installed one."
        )
    loop = bare_loop()
    failure: PimsError
    try:
        browser = await playwright.chromium.launch(
            executable_path=path,
            headless=start.headless,
            args=list(ARGUMENTS),
            env=browser_environment(os.environ, loop.scratch, headless=start.headless),
            chromium_sandbox=uses_sandbox(user_id=os.geteuid(), allowed=start.sandbox),
            timeout=max((deadline - loop.time()) * 1000, 1.0),
        )
    except TimeoutError:
        failure = TransientError(
            f"Chromium at {path} did not start within {start.timeout:.0f} s; the machine may be "
            "overloaded. Try again later."
        )
    except Error as error:
        failure = _start_failure(path, str(error))
    else:
        loop.note_processes()
        return browser
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
        "libraries. Install another (in a clone: `make setup`), or set PIMS_CHROMIUM_PATH to one "
        "that works."
    )


async def closes_in_time(closing: Coroutine[object, object, None]) -> bool:
    """Wait until something is closed; whether it was, in time.

    That its process has ended already counts as closed by something else.
    """
    from playwright.async_api import Error  # noqa: PLC0415 - see the module

    with contextlib.suppress(Error, asyncio.TimeoutError):
        await asyncio.wait_for(closing, _CLOSE_TIMEOUT)
        return True
    return False
