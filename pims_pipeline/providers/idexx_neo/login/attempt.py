"""Logging in as a person does: the login page, its form, and what comes after it.

    the session answers a question          the login worked, whatever the page shows
    the vendor refuses what was sent        None: the credentials are wrong
    a page that only a person can answer    HumanNeeded, with its title and a picture
    the form is missing or was not sent     ContractViolation: nothing is known of them
    what may go by itself                   TransientError

How a page is read lives in ``page_state``, the form in ``form``, what the browser does
in ``watch``, what a page after the form means in ``verdict``.

Playwright's asyncio interface runs inside one thread of its own, although everything else
here is synchronous: only a task can be cancelled at any moment, and an interrupted login
must not leave a browser behind.

Playwright's own error texts are never passed on: they quote what was typed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pims_pipeline.providers.idexx_neo.login.chromium import browser_page, run_in_own_thread
from pims_pipeline.providers.idexx_neo.login.failures import LoginFailures
from pims_pipeline.providers.idexx_neo.login.form import (
    LoginForm,
    NotFillable,
    find_first_step,
    find_form,
)
from pims_pipeline.providers.idexx_neo.login.page_state import (
    CAPTCHA,
    CODE,
    Look,
    is_same_site,
    look_at,
)
from pims_pipeline.providers.idexx_neo.login.screenshots import keep_screenshot, masked_picture
from pims_pipeline.providers.idexx_neo.login.verdict import Before, Refused, Verdict
from pims_pipeline.providers.idexx_neo.login.watch import LoginWatch
from pims_pipeline.providers.idexx_neo.session import SessionCookie
from pims_pipeline.providers.port import ContractViolation, Credentials, PimsError
from pims_pipeline.providers.stop_signal import StopSignal

if TYPE_CHECKING:
    from playwright.async_api import Page

_T = TypeVar("_T")
Accepts = Callable[[tuple[SessionCookie, ...], float], bool]
"""Whether the vendor answers a first question with these cookies, within so many seconds."""

_LOOK_EVERY = 0.1
"""Seconds between two looks at the page."""
_PICTURE_S = 4.0
_AFTER_THE_END_S = 1.0
"""Seconds after the login's time in which a question in another thread ends by itself."""
_MOST_QUESTIONS = 4
_AT_THE_END = "at the end"
QUIET_S = 3.0
"""Seconds in which nothing happens on a page until it is taken for all that comes."""


def login(
    base_url: str,
    credentials: Credentials,
    *,
    accepts: Accepts,
    chromium_path: Path | None,
    headless: bool,
    artifacts_dir: Path,
    timeout_s: float = 30.0,
    subject: str | None = None,
    sandbox: bool = True,
    stop: StopSignal | None = None,
) -> tuple[SessionCookie, ...] | None:
    """The cookies of a fresh login, or None when the vendor refused the credentials.

    A masked screenshot of a failed login is kept in ``artifacts_dir``. The browser has ended
    by the time this returns or raises.

    Args:
        base_url: Without a trailing slash.
        credentials: Typed into the page, and nowhere else.
        accepts: Asks the vendor a first question; called in another thread, once for each
            state of the cookies. Its own errors end the login.
        chromium_path: None means Playwright's own.
        headless: False shows the window, to watch a login.
        artifacts_dir: Where the screenshot goes.
        timeout_s: For starting the browser, and again for everything on its pages.
        subject: Whose login it is, for the screenshot's name; the host when None.
        sandbox: False starts the browser without its sandbox; root never has it.
        stop: Ends the login when it says so; nothing does when None.

    Raises:
        HumanNeeded: If a page or message after the login is one for a person, known or not,
            or the login page asks for a company id that the credentials lack.
        TransientError: If the page could not be reached or the browser broke down.
        ContractViolation: If there is no login page as we know it, or it sent nothing.
        BrowserUnavailable: If there is no Chromium, or it does not start.
    """
    host = urlsplit(base_url).hostname or "unknown-host"

    def save(picture: bytes) -> Path:
        return keep_screenshot(
            picture, directory=artifacts_dir, subject=subject or host, taken_at=datetime.now(UTC)
        )

    async def work() -> tuple[SessionCookie, ...] | None:
        async with browser_page(
            chromium_path, headless=headless, timeout_s=timeout_s, sandbox=sandbox
        ) as page:
            visit = LoginVisit(page, base_url, timeout_s, save, accepts)
            return await visit.log_in(credentials)

    return run_in_own_thread(work, stop or StopSignal())


@dataclass
class LoginVisit:
    """One browser's visit to the login page.

    Attributes:
        quiet_s: Seconds in which nothing happens on a page until it is taken for all that
            comes.
    """

    page: "Page"
    base_url: str
    timeout_s: float
    save_picture: Callable[[bytes], Path]
    accepts: Accepts
    quiet_s: float = QUIET_S
    watch: LoginWatch = field(init=False)
    failures: LoginFailures = field(init=False)
    verdict: Verdict = field(init=False)
    _deadline: float = field(default=0.0, init=False)
    _tried: set[object] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self.timeout_s
        self.watch = LoginWatch(self.page)
        self.failures = LoginFailures(self.base_url)
        self.verdict = Verdict(self.watch, self.failures)

    async def log_in(self, credentials: Credentials) -> tuple[SessionCookie, ...] | None:
        """See ``login``."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        failure: PimsError | None = None
        cookies: tuple[SessionCookie, ...] | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._open()
                before = await self._submit(credentials)
                cookies = await self._outcome(before)
        except Refused:
            cookies = None
        except PimsError as error:
            failure = error
        except Error as error:
            # Only the kind of the error leaves this block; see the module for why.
            failure = self.failures.of_browser(str(error), crashed=self.watch.crashed)
        except TimeoutError:
            failure = self.failures.transient("did not get through the login in time")
        if cookies is None:
            await self._keep_picture(failure)
        if failure is not None:
            raise failure
        return cookies

    async def _open(self) -> None:
        answer = await self.page.goto(
            f"{self.base_url}/login", wait_until="domcontentloaded", timeout=self._left_ms()
        )
        if (failure := self.failures.of_first_page(answer)) is not None:
            raise failure

    async def _submit(self, credentials: Credentials) -> Before:
        """Fill in the form that the page's script draws, and send it; in two steps if it asks.

        Gives what there was before the password was sent.
        """
        step: Before | None = None
        while True:
            form, look = await self._form(step)
            if form.company is not None and credentials.company_id is None:
                raise self.failures.without_company_id()
            if form.user is None and step is None:
                raise self._no_form(look)
            before = Before(self.watch.loads, len(self.watch.dialogs), look)
            self.watch.typed(credentials)
            unusable = None
            try:
                await form.send(credentials)
            except NotFillable as error:
                unusable = self.failures.not_filled(str(error))
            if unusable is not None:
                raise unusable
            if form.password is not None:
                return before
            step = before

    async def _form(self, step: Before | None) -> tuple[LoginForm, Look]:
        """The form, once the page's script has drawn it; the first step's, if that is all.

        Args:
            step: What there was before the first of two steps was sent; None before any was.
        """
        stillness, look = _Stillness(), None
        while self._has_time:
            seen = await self._present(look_at(self.page))
            if seen is not None:
                look = seen
                self._check_site(look)
                if look.has_puzzle:
                    raise self.failures.for_people(CAPTCHA)
                if (form := await self._present(find_form(self.page))) is not None:
                    return form, look
                if step is not None:
                    self._judge_step(look, step)
                still_for = stillness.see(look, busy=self.watch.is_waiting)
                settled = self.quiet_s / 3 if look.alive else _LOOK_EVERY
                if step is None and still_for >= settled:
                    form = await self._present(find_first_step(self.page))
                    if form is not None:
                        return form, look
                # Scripts may take their time to draw a form, and nobody is locked out by it.
                if look.complete and still_for >= (9 * settled if look.alive else settled):
                    break
            await asyncio.sleep(_LOOK_EVERY)
        if look is None:
            raise self.failures.transient("did not come to rest in time")
        raise self._no_form(look) if step is None else self.failures.unknown_page(look)

    def _judge_step(self, look: Look, step: Before) -> None:
        """Raise when the user name alone was not enough."""
        self.verdict.judge_network()
        self.verdict.judge_status()
        self.verdict.judge_message(look, step)

    async def _outcome(self, before: Before) -> tuple[SessionCookie, ...]:
        """The cookies that the vendor accepts."""
        stillness, look = _Stillness(), before.look
        while self._has_time:
            self.verdict.judge_network()
            seen = await self._present(look_at(self.watch.page))
            if seen is not None:
                look = seen
                still_for = stillness.see(look, busy=self.watch.is_waiting)
                if (cookies := await self._judged(look, before, still_for)) is not None:
                    return cookies
                if look.complete and still_for >= self.quiet_s:
                    break
            await asyncio.sleep(_LOOK_EVERY)
        new = self.verdict.new_messages(look, before)
        if not (self.watch.sent or self.watch.posted):
            raise self.failures.not_sent(
                "it shows a message instead" if new else "nothing followed"
            )
        # The page may show its form for ever, and the vendor accept the session all the same.
        if cookies := await self._accepted(_AT_THE_END):
            return cookies
        if look.url != before.look.url:
            self.verdict.judge_page(look)
        raise self.failures.unknown_message(look) if new else self.failures.unknown_page(look)

    async def _judged(
        self, look: Look, before: Before, still_for: float
    ) -> tuple[SessionCookie, ...] | None:
        """The cookies if the vendor accepts them by now; raises when the page says otherwise."""
        left = self.verdict.has_left(look, before)
        if left and (cookies := await self._accepted(look.url)):
            return cookies
        self.verdict.judge_status()
        if look.wants_code and not before.look.wants_code:
            raise self.failures.for_people(CODE)
        self.verdict.judge_message(look, before)
        if left and still_for >= 2 * _LOOK_EVERY:
            self.verdict.judge_page(look)
        return None

    async def _accepted(self, where: str) -> tuple[SessionCookie, ...] | None:
        """The browser's cookies if the vendor answers a question with them.

        It is asked once for the same cookies at the same place, and a few times in all.
        """
        cookies = await self._cookies()
        if not cookies or (where, cookies) in self._tried:
            return None
        if where != _AT_THE_END and len(self._tried) >= _MOST_QUESTIONS:
            return None
        self._tried.add((where, cookies))
        # A thread cannot be cancelled: it is given the time that the login has left. A little
        # more, so that the login ends first, and with its own words.
        seconds = self._left_ms() / 1000 + _AFTER_THE_END_S
        return cookies if await asyncio.to_thread(self.accepts, cookies, seconds) else None

    async def _present(self, asking: Awaitable[_T]) -> _T | None:
        """What the page says; None while it is leaving for another."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        try:
            return await asking
        except Error as error:
            if self.watch.crashed or self.page.is_closed():
                raise
            leaving = ("context was destroyed", "navigat", "detached", "closed")
            if not any(sign in str(error) for sign in leaving):
                raise
            return None

    async def _cookies(self) -> tuple[SessionCookie, ...]:
        # Only those that would be sent to the vendor: its page may load others' parts.
        found = await self.page.context.cookies(self.base_url)
        return tuple(
            SessionCookie(
                name=cookie["name"],
                value=cookie["value"],
                domain=cookie["domain"],
                path=cookie["path"],
                expires=cookie["expires"] if cookie["expires"] > 0 else None,
                secure=cookie["secure"],
            )
            for cookie in found
        )

    def _no_form(self, look: Look) -> ContractViolation:
        return self.failures.no_form(look, script_failed=self.watch.script_errors > 0)

    def _check_site(self, look: Look) -> None:
        if urlsplit(look.url).scheme != "about" and not is_same_site(self.base_url, look.url):
            raise self.failures.elsewhere(look)

    async def _keep_picture(self, failure: PimsError | None) -> None:
        """Keep a screenshot; a page that cannot be pictured must not hide the failure."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        try:
            async with asyncio.timeout(_PICTURE_S):
                picture = await masked_picture(self.watch.page)
            path = self.save_picture(picture)
        except (Error, OSError):
            # A page that hangs cannot be masked, which is a TimeoutError, and so an OSError.
            note = "No screenshot could be kept."
        else:
            note = f"A screenshot is kept as {path.name}."
        if failure is not None:
            failure.add_note(note)

    @property
    def _has_time(self) -> bool:
        return self._left_ms() > _LOOK_EVERY * 2000

    def _left_ms(self) -> float:
        """Milliseconds to the deadline; never zero, which Playwright takes for for-ever."""
        return max((self._deadline - asyncio.get_running_loop().time()) * 1000, 1.0)


@dataclass(slots=True)
class _Stillness:
    """For how long nothing has happened on a page."""

    _fingerprint: tuple[object, ...] | None = None
    _since: float = 0.0

    def see(self, look: Look, *, busy: bool) -> float:
        """The seconds since ``look`` or anything outstanding last changed."""
        now = asyncio.get_running_loop().time()
        if busy or look.fingerprint != self._fingerprint:
            self._fingerprint, self._since = look.fingerprint, now
        return now - self._since
