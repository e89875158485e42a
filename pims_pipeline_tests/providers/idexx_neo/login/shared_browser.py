"""One Chromium for many logins: starting one takes a second, a fresh context takes none."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pims_pipeline.providers.idexx_neo.login.attempt import Accepts, LoginAttempt
from pims_pipeline.providers.idexx_neo.login.chromium import (
    BrowserStart,
    find_chromium,
    new_page,
    running_browser,
)
from pims_pipeline.providers.idexx_neo.login.environment import bare_runner
from pims_pipeline.providers.idexx_neo.session import SessionCookie
from pims_pipeline.providers.port import Credentials
from pims_pipeline_tests.providers.simulated_login import CREDENTIALS

if TYPE_CHECKING:
    from playwright.async_api import Browser

_T = TypeVar("_T")
Cookies = tuple[SessionCookie, ...]


def has_session_cookie(cookies: Cookies, _: float) -> bool:
    """Whether one of the cookies is named like a session; for servers that check no session."""
    return any(cookie.proves_login for cookie in cookies)


@dataclass
class SharedBrowser:
    """Logs in at one page after the other, each without the cookies of the others."""

    browser: "Browser"
    runner: asyncio.Runner
    pictures: list[bytes] = field(default_factory=list)

    def log_in(
        self,
        base_url: str,
        credentials: Credentials = CREDENTIALS,
        timeout_s: float = 15,
        accepts: Accepts = has_session_cookie,
    ) -> Cookies | None:
        async def work() -> Cookies | None:
            page = await new_page(self.browser, timeout_s)
            try:
                attempt = LoginAttempt(page, base_url, timeout_s, self._keep, accepts, quiet_s=0.8)
                return await attempt.log_in(credentials)
            finally:
                await page.context.close()

        self.pictures.clear()
        return self.run(work())

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        return self.runner.run(work)

    def _keep(self, picture: bytes) -> Path:
        self.pictures.append(picture)
        return Path("kept.png")


@contextmanager
def shared_browser() -> Iterator[SharedBrowser]:
    """A headless Chromium, which ends with the block."""
    with bare_runner() as runner:
        opening = running_browser(BrowserStart(executable=find_chromium(None), timeout=60))
        started = runner.run(opening.__aenter__())
        yield SharedBrowser(started, runner)
        runner.run(opening.__aexit__(None, None, None))
