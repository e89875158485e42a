"""Logging in as a person does: the login page, its form, and the pages after it.

    the vendor accepts the session          the login worked, whatever the page shows
    the vendor refuses the credentials      None
    a page that only a person can pass      HumanNeeded, with its title and a screenshot
    the form is missing or was not sent     ContractViolation: nothing is known of the credentials
    a fault that may go by itself           TransientError

Reading a page belongs in ``page_state``, the form in ``form``, what the browser does in
``watch``, and what a page after the form means in ``verdict``.

Playwright's own error texts are never passed on, because they quote what was typed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pims_pipeline.providers.idexx_neo.login.browser_thread import BrowserUse, PageLost
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
    PageState,
    is_same_site,
    read_page,
)
from pims_pipeline.providers.idexx_neo.login.pool import shared_pool
from pims_pipeline.providers.idexx_neo.login.screenshots import keep_screenshot, masked_picture
from pims_pipeline.providers.idexx_neo.login.verdict import BeforeSubmit, LoginRefused, Verdict
from pims_pipeline.providers.idexx_neo.login.watch import LoginWatch
from pims_pipeline.providers.idexx_neo.session import SessionCookie
from pims_pipeline.providers.options import LoginOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    PimsError,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal

if TYPE_CHECKING:
    from playwright.async_api import Page

_T = TypeVar("_T")
Accepts = Callable[[tuple[SessionCookie, ...], float], bool]
"""Whether the vendor accepts a first request with these cookies, within so many seconds."""

_POLL_SECONDS = 0.1
"""Seconds between two readings of the page."""
_SCREENSHOT_TIMEOUT = 4.0
_GRACE_SECONDS = 1.0
"""Seconds after the login's timeout in which a request in another thread ends by itself."""
_MAX_SESSION_CHECKS = 4
_AT_THE_END = "at the end"
QUIET_S = 3.0
"""Seconds without a change after which a page counts as final."""


def login(
    base_url: str,
    credentials: Credentials,
    options: LoginOptions,
    *,
    accepts: Accepts,
    subject: str | None = None,
    stop: StopSignal | None = None,
) -> tuple[SessionCookie, ...] | None:
    """The cookies of a fresh login, or None when the vendor refused the credentials.

    A masked screenshot of a failed login is kept in ``options.artifacts_dir``. The browser's
    context has been closed by the time this returns or raises, with all that was typed. Logins of
    this process share a browser; one that fails before anything was typed is tried in a second one.

    Args:
        base_url: Without a trailing slash.
        credentials: Typed into the page, and nowhere else.
        options: The browser, its timeout, and the directory of the screenshot.
        accepts: Sends the vendor a first request; called in another thread, once for each state
            of the cookies. Its own errors end the login.
        subject: The name of the clinic in the screenshot's file name; the host when None.
        stop: Ends the login when it is stopped; None for no stop signal.

    Raises:
        HumanNeeded: If a page or message after the login needs a person, known or not, or the
            login page asks for a company id that the credentials lack.
        TransientError: If the page could not be reached or the browser crashed.
        ContractViolation: If the login page is not as expected, or it sent nothing.
        BrowserUnavailable: If there is no Chromium, or it does not start.
    """
    host = urlsplit(base_url).hostname or "unknown-host"

    def save(picture: bytes) -> Path:
        return keep_screenshot(
            picture,
            directory=options.artifacts_dir,
            subject=subject or host,
            taken_at=datetime.now(UTC),
        )

    async def work(use: BrowserUse) -> tuple[SessionCookie, ...] | None:
        attempt = LoginAttempt(use.page, base_url, options.timeout, save, accepts)
        try:
            return await attempt.log_in(credentials)
        except TransientError as error:
            if attempt.lost_its_page and not attempt.watch.has_typed:
                raise PageLost(error) from None
            raise
        finally:
            use.is_reusable = attempt.has_verdict

    return shared_pool(options).log_in(work, stop or StopSignal())


@dataclass
class LoginAttempt:
    """One login in one browser.

    Attributes:
        quiet_s: Seconds without a change after which a page counts as final.
        has_verdict: Whether it has ended with a conclusion about the vendor's page, so that the
            browser is in order.
        lost_its_page: Whether it failed because the browser lost its page.
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
    has_verdict: bool = field(default=False, init=False)
    lost_its_page: bool = field(default=False, init=False)
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
                self.has_verdict = True
        except LoginRefused:
            self.has_verdict = True
        except PimsError as error:
            failure = error
            self.has_verdict = self._has_time and not self.watch.crashed
        except Error as error:
            # Only the kind of the error leaves this block; its text quotes what was typed.
            failure = self.failures.of_browser(str(error), crashed=self.watch.crashed)
            self.lost_its_page = self._has_time and self.failures.is_lost_page(str(error))
        except TimeoutError:
            failure = self.failures.transient("the login did not finish in time")
        if cookies is None:
            await self._keep_screenshot(failure)
        if failure is not None:
            raise failure
        return cookies

    async def _open(self) -> None:
        response = await self.page.goto(
            f"{self.base_url}/login", wait_until="domcontentloaded", timeout=self._left_ms()
        )
        if (failure := self.failures.of_first_page(response)) is not None:
            raise failure

    async def _submit(self, credentials: Credentials) -> BeforeSubmit:
        """Fill in the form and send it, in two steps if the page wants them.

        Returns the state before the password was sent.
        """
        step: BeforeSubmit | None = None
        while True:
            form, state = await self._form(step)
            if form.company is not None and credentials.get("company_id") is None:
                raise self.failures.without_company_id()
            if form.user is None and step is None:
                raise self._no_form(state)
            before = BeforeSubmit(self.watch.loads, len(self.watch.dialogs), state)
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

    async def _form(self, step: BeforeSubmit | None) -> tuple[LoginForm, PageState]:
        """The form, as soon as the page's script has drawn it, or that of the first of two steps.

        Args:
            step: The state before the first of two steps was sent; None before any was.
        """
        quiet, state = _QuietTimer(), None
        while self._has_time:
            seen = await self._unless_leaving(read_page(self.page))
            if seen is not None:
                state = seen
                self._check_site(state)
                if state.has_puzzle:
                    raise self.failures.human_needed(CAPTCHA)
                if (form := await self._unless_leaving(find_form(self.page))) is not None:
                    return form, state
                if step is not None:
                    self._judge_step(state, step)
                still_for = quiet.seconds_unchanged(state, busy=self.watch.is_waiting)
                settled = self.quiet_s / 3 if state.alive else _POLL_SECONDS
                if step is None and still_for >= settled:
                    form = await self._unless_leaving(find_first_step(self.page))
                    if form is not None:
                        return form, state
                # Scripts may be slow to draw a form, and waiting locks no account.
                if state.complete and still_for >= (9 * settled if state.alive else settled):
                    break
            await asyncio.sleep(_POLL_SECONDS)
        if state is None:
            raise self.failures.transient("the login page did not finish loading in time")
        raise self._no_form(state) if step is None else self.failures.unknown_page(state)

    def _judge_step(self, state: PageState, step: BeforeSubmit) -> None:
        """Raise when the first step was not accepted."""
        self.verdict.judge_network()
        self.verdict.judge_status()
        self.verdict.judge_message(state, step)

    async def _outcome(self, before: BeforeSubmit) -> tuple[SessionCookie, ...]:
        """The cookies that the vendor accepts."""
        quiet, state = _QuietTimer(), before.state
        while self._has_time:
            self.verdict.judge_network()
            seen = await self._unless_leaving(read_page(self.watch.page))
            if seen is not None:
                state = seen
                still_for = quiet.seconds_unchanged(state, busy=self.watch.is_waiting)
                if (cookies := await self._judged(state, before, still_for)) is not None:
                    return cookies
                if state.complete and still_for >= self.quiet_s:
                    break
            await asyncio.sleep(_POLL_SECONDS)
        new = self.verdict.new_messages(state, before)
        if not (self.watch.sent or self.watch.posted):
            raise self.failures.not_sent(
                "the page shows a message instead" if new else "nothing followed"
            )
        # The vendor may accept the session although the page still shows its form.
        if cookies := await self._accepted(_AT_THE_END):
            return cookies
        if state.url != before.state.url:
            self.verdict.judge_page(state)
        raise self.failures.unknown_message(state) if new else self.failures.unknown_page(state)

    async def _judged(
        self, state: PageState, before: BeforeSubmit, still_for: float
    ) -> tuple[SessionCookie, ...] | None:
        """The cookies if the vendor accepts them now; raises when the page shows an error."""
        left = self.verdict.has_left(state, before)
        if left and (cookies := await self._accepted(state.url)):
            return cookies
        self.verdict.judge_status()
        if state.wants_code and not before.state.wants_code:
            raise self.failures.human_needed(CODE)
        self.verdict.judge_message(state, before)
        if left and still_for >= 2 * _POLL_SECONDS:
            self.verdict.judge_page(state)
        return None

    async def _accepted(self, where: str) -> tuple[SessionCookie, ...] | None:
        """The browser's cookies if the vendor accepts a request with them.

        The same cookies are tried once at each address, and a few times in all.
        """
        cookies = await self._cookies()
        if not cookies or (where, cookies) in self._tried:
            return None
        if where != _AT_THE_END and len(self._tried) >= _MAX_SESSION_CHECKS:
            return None
        self._tried.add((where, cookies))
        # A thread cannot be cancelled, so it gets the time that the login has left. It gets a
        # little more, so that the login ends first, with its own error.
        seconds = self._left_ms() / 1000 + _GRACE_SECONDS
        return cookies if await asyncio.to_thread(self.accepts, cookies, seconds) else None

    async def _unless_leaving(self, reading: Awaitable[_T]) -> _T | None:
        """The result of ``reading`` the page; None while it is leaving for another."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        try:
            return await reading
        except Error as error:
            if self.watch.crashed or self.page.is_closed():
                raise
            leaving = ("context was destroyed", "navigat", "detached", "closed")
            if not any(sign in str(error) for sign in leaving):
                raise
            return None

    async def _cookies(self) -> tuple[SessionCookie, ...]:
        # Only the vendor's: its page may load parts of other sites.
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

    def _no_form(self, state: PageState) -> ContractViolation:
        return self.failures.no_form(state, script_failed=self.watch.script_errors > 0)

    def _check_site(self, state: PageState) -> None:
        if urlsplit(state.url).scheme != "about" and not is_same_site(self.base_url, state.url):
            raise self.failures.elsewhere(state)

    async def _keep_screenshot(self, failure: PimsError | None) -> None:
        """Keep a screenshot; a failed screenshot must not hide the login's failure."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        try:
            async with asyncio.timeout(_SCREENSHOT_TIMEOUT):
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
        return self._left_ms() > _POLL_SECONDS * 2000

    def _left_ms(self) -> float:
        """Milliseconds to the deadline; never zero, which means no timeout to Playwright."""
        return max((self._deadline - asyncio.get_running_loop().time()) * 1000, 1.0)


@dataclass(slots=True)
class _QuietTimer:
    """How long nothing has changed on a page."""

    _fingerprint: tuple[object, ...] | None = None
    _since: float = 0.0

    def seconds_unchanged(self, state: PageState, *, busy: bool) -> float:
        """The seconds since the page, or a request of it, last changed."""
        now = asyncio.get_running_loop().time()
        if busy or state.fingerprint != self._fingerprint:
            self._fingerprint, self._since = state.fingerprint, now
        return now - self._since
