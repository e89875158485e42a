"""Logging in as a person does: the login page, its form, and what comes after it.

The only module that knows selectors. It uses Playwright's asyncio interface inside one
thread of its own, although everything else here is synchronous: only a task can be
cancelled at any moment, and an interrupted login must not leave a browser behind.

Playwright's own error texts are never passed on: they quote what was typed.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pims_pipeline.providers.idexx_neo.chromium import browser_page, run_in_own_thread
from pims_pipeline.providers.idexx_neo.screenshots import keep_screenshot
from pims_pipeline.providers.idexx_neo.session import SessionCookie
from pims_pipeline.providers.port import (
    ContractViolation,
    Credentials,
    HumanNeeded,
    PimsError,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page, Response

_COMPANY = 'input[name="company_id"], input[name="companyId"]'
_USERNAME = 'input[name="username"], input[type="email"], input[name="email"]'
_PASSWORD = 'input[type="password"]'  # noqa: S105 - a selector
_SUBMIT = 'button[type="submit"], input[type="submit"]'
_MESSAGE = ".error-message, .alert-danger"
_CODE = 'input[name="code"], input[name="otp"], input[name="mfa_code"]'
_EVERY_FIELD = "input, textarea, select"

_LOCKED = re.compile(
    r"account (?:is|was|has been) (?:temporarily )?(?:locked|disabled|suspended)|locked out"
    r"|too many (?:failed )?(?:log-?in |sign-?in )?attempts",
    re.IGNORECASE,
)
_TERMS = re.compile(r"terms (?:of|and)\b.*\baccept|accept .*\bterms\b", re.IGNORECASE | re.DOTALL)
_PASSING = frozenset({403, 408, 419, 425, 429})
"""Statuses of a login page that may go by themselves; 403 and 419 are a stale form token."""
_LOOK_EVERY = 0.1
"""Seconds between two looks at the page."""
_SETTLE = 0.3
"""Seconds in which a page after the login may still draw a code field."""
_SCREENSHOT_PATIENCE_MS = 2_000.0


def login(
    base_url: str,
    credentials: Credentials,
    *,
    chromium_path: Path | None,
    headless: bool,
    artifacts_dir: Path,
    timeout_s: float = 30.0,
    subject: str | None = None,
    stop: StopSignal | None = None,
) -> tuple[SessionCookie, ...] | None:
    """The cookies of a fresh login, or None when the vendor refused the credentials.

    A screenshot of a failed login, with every form field masked, is kept in
    ``artifacts_dir``. The browser has ended by the time this returns or raises.

    Args:
        base_url: Without a trailing slash.
        credentials: Typed into the page, and nowhere else.
        chromium_path: None means Playwright's own.
        headless: False shows the window, to watch a login.
        artifacts_dir: Where the screenshot goes.
        timeout_s: For starting the browser, and again for everything on its pages.
        subject: Whose login it is, for the screenshot's name; the host when None.
        stop: Ends the login when it says so; nothing does when None.

    Raises:
        HumanNeeded: If the vendor asks for a code, locked the account, wants its terms
            accepted, or asks for a company id that the credentials lack.
        TransientError: If the page could not be reached or the browser broke down.
        ContractViolation: If the page is not the login page we know, or leads nowhere.
        BrowserUnavailable: If there is no Chromium, or it does not start.
    """
    host = urlsplit(base_url).hostname or "unknown-host"

    def save(picture: bytes) -> Path:
        return keep_screenshot(
            picture, directory=artifacts_dir, subject=subject or host, taken_at=datetime.now(UTC)
        )

    async def work() -> tuple[SessionCookie, ...] | None:
        async with browser_page(chromium_path, headless=headless, timeout_s=timeout_s) as page:
            return await LoginVisit(page, base_url, timeout_s, save).log_in(credentials)

    return run_in_own_thread(work, stop or StopSignal())


@dataclass
class LoginVisit:
    """One browser's visit to the login page, and what it saw on the way."""

    page: "Page"
    base_url: str
    timeout_s: float
    save_picture: Callable[[bytes], Path]
    crashed: bool = False
    pages_loaded: int = 0
    last_answer: "Response | None" = None
    _deadline: float = field(default=0.0)

    def __post_init__(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self.timeout_s
        self.page.on("crash", lambda _: setattr(self, "crashed", True))
        self.page.on("domcontentloaded", lambda _: self._note_load())
        self.page.on("response", self._note_answer)

    async def log_in(self, credentials: Credentials) -> tuple[SessionCookie, ...] | None:
        """See ``login``."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        failure: PimsError | None = None
        cookies: tuple[SessionCookie, ...] | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._open()
                seen_before = await self._submit(credentials)
                cookies = await self._cookies() if await self._outcome(seen_before) else None
        except PimsError as error:
            failure = error
        except Error as error:
            # Only the kind of the error leaves this block; see the module for why.
            failure = self._broken(error)
        except TimeoutError:
            failure = self._transient("did not get through the login in time")
        if cookies is None:
            await self._keep_picture(failure)
        if failure is not None:
            raise failure
        return cookies

    async def _open(self) -> None:
        answer = await self.page.goto(
            f"{self.base_url}/login", wait_until="domcontentloaded", timeout=self._left_ms()
        )
        if (failure := self._failure_of(answer)) is not None:
            raise failure

    async def _submit(self, credentials: Credentials) -> "_Seen":
        """Fill in the form that the page's script draws, and send it."""
        password = await self._form()
        company = _visible(self.page, _COMPANY)
        if await company.count():
            if credentials.company_id is None:
                raise HumanNeeded(
                    f"The login page of {self.base_url} asks for a company id and the stored "
                    "credentials have none. Set it with `pims credentials set`."
                )
            await company.first.fill(credentials.company_id, timeout=self._left_ms())
        await _visible(self.page, _USERNAME).first.fill(
            credentials.username, timeout=self._left_ms()
        )
        await password.fill(credentials.password, timeout=self._left_ms())
        seen = _Seen(self.pages_loaded, await self._message())
        await _visible(self.page, _SUBMIT).first.click(timeout=self._left_ms())
        return seen

    async def _form(self) -> "Locator":
        """The password field, once the script has drawn it together with its form."""
        while self._left_ms() > self._last_look_ms:
            fields = [_visible(self.page, part) for part in (_PASSWORD, _USERNAME, _SUBMIT)]
            if all([await part.count() for part in fields]):
                return fields[0].first
            if self.crashed:
                raise self._transient("crashed the browser's page")
            await asyncio.sleep(_LOOK_EVERY)
        raise ContractViolation(
            f"The login page of {self.base_url} opened but showed no form with user name, password "
            "and submit button. See the screenshot; the vendor may be under maintenance or have "
            "changed its login."
        )

    async def _outcome(self, seen: "_Seen") -> bool:
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        settled = False
        while self._left_ms() > self._last_look_ms:
            verdict: bool | None
            try:
                verdict = await self._verdict(seen)
            except Error as error:
                # A page in the midst of leaving cannot be looked at; the next one can.
                if self.crashed or not self._is_leaving(error):
                    raise
                verdict = None
            if verdict is False or (verdict and settled):
                return verdict
            settled = bool(verdict)
            await asyncio.sleep(_SETTLE if settled else _LOOK_EVERY)
        raise ContractViolation(
            f"The login at {self.base_url} was sent and led neither to a session nor to a message "
            "we know. See the screenshot; the vendor may have changed its login."
        )

    async def _verdict(self, seen: "_Seen") -> bool | None:
        """True for logged in, False for refused, None for nothing to be seen yet."""
        if self.crashed:
            raise self._transient("crashed the browser's page")
        if await _visible(self.page, _CODE).count():
            raise self._human("asks for a one-time code", "Turn it off for this account")
        message = await self._message()
        if message and (message != seen.message or self.pages_loaded > seen.pages_loaded):
            self._refuse_unless_refused(message)
            return False
        if self.pages_loaded > seen.pages_loaded:
            self._refuse_answer()
        if await _visible(self.page, _PASSWORD).count():
            return None
        if self._on_login_page():
            await self._look_for_a_person()
            return None
        return any(cookie.proves_login for cookie in await self._cookies()) or None

    def _refuse_unless_refused(self, message: str) -> None:
        """Raise when the message beside the form is not about wrong credentials."""
        if _LOCKED.search(message):
            raise self._locked()
        self._refuse_answer()

    def _refuse_answer(self) -> None:
        failure = self._failure_of(self.last_answer)
        if failure is not None:
            raise failure

    async def _look_for_a_person(self) -> None:
        """Raise when the page that took the form's place is one for people."""
        text = await self.page.locator("body").inner_text(timeout=self._left_ms())
        if _LOCKED.search(text):
            raise self._locked()
        if _TERMS.search(text):
            raise self._human("asks to accept its terms", "Accept them in a browser")

    async def _message(self) -> str:
        shown = await _visible(self.page, _MESSAGE).all_inner_texts()
        return "\n".join(text.strip() for text in shown if text.strip())

    def _on_login_page(self) -> bool:
        return "login" in urlsplit(self.page.url).path.lower().split("/")

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

    def _failure_of(self, answer: "Response | None") -> PimsError | None:
        """What a page's status says is wrong; a refused login has a status of its own kind."""
        status = 200 if answer is None else answer.status
        if status in _PASSING or status >= 500:  # noqa: PLR2004 - HTTP's own line
            return self._transient(f"answered {status}")
        if status >= 400 and status not in {401, 422}:  # noqa: PLR2004 - as above
            return ContractViolation(
                f"The login page of {self.base_url} answered {status}. Check the clinic's base URL."
            )
        return None

    def _broken(self, error: Exception) -> TransientError:
        kind = re.search(r"net::(ERR_[A-Z_]+)", str(error))
        how = f"could not be opened ({kind[1]})" if kind else "stopped answering the browser"
        return self._transient(how)

    def _transient(self, how: str) -> TransientError:
        return TransientError(f"The login page of {self.base_url} {how}. Try again later.")

    def _locked(self) -> HumanNeeded:
        return self._human("says that the account is locked", "Unlock it with the vendor")

    def _human(self, how: str, what_to_do: str) -> HumanNeeded:
        return HumanNeeded(
            f"The login at {self.base_url} {how}. {what_to_do}, then check the credentials with "
            "`pims credentials check`."
        )

    async def _keep_picture(self, failure: PimsError | None) -> None:
        """Keep a screenshot; a page that cannot be pictured must not hide the failure."""
        from playwright.async_api import Error  # noqa: PLC0415 - see chromium

        try:
            picture = await self.page.screenshot(
                mask=[self.page.locator(_EVERY_FIELD)], timeout=_SCREENSHOT_PATIENCE_MS
            )
            path = self.save_picture(picture)
        except (Error, OSError):
            note = "No screenshot could be kept."
        else:
            note = f"A screenshot is kept as {path.name}."
        if failure is not None:
            failure.add_note(note)

    @property
    def _last_look_ms(self) -> float:
        return _LOOK_EVERY * 2000

    def _left_ms(self) -> float:
        """Milliseconds to the deadline; never zero, which Playwright takes for for-ever."""
        return max((self._deadline - asyncio.get_running_loop().time()) * 1000, 1.0)

    def _note_load(self) -> None:
        self.pages_loaded += 1

    def _note_answer(self, answer: "Response") -> None:
        if answer.request.is_navigation_request() and answer.frame == self.page.main_frame:
            self.last_answer = answer

    def _is_leaving(self, error: Exception) -> bool:
        return not self.page.is_closed() and any(
            sign in str(error) for sign in ("context was destroyed", "navigat", "detached")
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stood on the page before the form was sent."""

    pages_loaded: int
    message: str


def _visible(page: "Page", selector: str) -> "Locator":
    return page.locator(selector).filter(visible=True)
