"""Sessions with their two time limits, lockout, and logins with a page left to pass.

No pages and no HTTP here: ``login`` draws the pages, ``responses`` refuses requests.
"""

import hmac
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig

ExpiredMode = Literal["redirect", "401", "html"]
"""The response to a request without a live session."""
LoginMode = Literal[
    "normal",
    "locked",
    "code",
    "terms",
    "location",
    "password_expired",
    "device",
    "news",
    "robot",
    "closed",
    "dead_session",
]
"""What comes between a right password and a session that the JSON endpoints accept."""
HELD_MODES: frozenset[LoginMode] = frozenset(
    {"location", "password_expired", "device", "news", "robot", "closed"}
)
"""Modes that open a session at once; the JSON endpoints accept it after a further page."""

WRONG_ATTEMPTS_ALLOWED = 5
"""The last of so many wrong passwords locks the account."""
SIMULATED_CODE = "246810"
"""The one-time code that the code page accepts."""


@dataclass(slots=True)
class Session:
    """One login.

    Attributes:
        form_token: Guards the calendar page against forged forms.
        held_at: The page to pass before the JSON endpoints accept the session, if any.
    """

    token: str = field(repr=False)
    company_id: str
    opened_at: datetime
    used_at: datetime
    form_token: str = field(repr=False)
    ended: ExpiredMode | None = None
    held_at: LoginMode | None = None


@dataclass(slots=True)
class Sessions:
    """Every session of one simulator."""

    config: SimulatorConfig
    default_expired_mode: ExpiredMode = "redirect"
    logins: Counter[str] = field(default_factory=Counter)
    _live: dict[str, Session] = field(default_factory=dict)
    _wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    _pending: dict[str, str] = field(default_factory=dict)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def login_token(self, browser: str) -> str:
        """The hidden form token of the browser whose cookie is ``browser``."""
        return hmac.new(self._secret, browser.encode(), "sha256").hexdigest()

    def is_login_token(self, browser: str | None, token: str) -> bool:
        """Whether ``token`` is the form token of that browser."""
        if not browser:
            return False
        return hmac.compare_digest(self.login_token(browser).encode(), token.encode())

    def open(self, clinic: SimulatedClinic) -> Session:
        """A new session for the clinic; counts as a successful login."""
        now = self.config.clock()
        session = Session(
            token=secrets.token_urlsafe(32),
            company_id=clinic.company_id,
            opened_at=now,
            used_at=now,
            form_token=secrets.token_urlsafe(32),
        )
        self._live[session.token] = session
        self.logins[clinic.company_id] += 1
        return session

    def use(self, token: str | None) -> Session | None:
        """The live session of that cookie, its idle time restarted; ``None`` without one."""
        session = self._live.get(token or "")
        if session is None or session.ended is not None:
            return None
        now = self.config.clock()
        if now - session.used_at >= timedelta(
            seconds=self.config.idle_timeout_s
        ) or now - session.opened_at >= timedelta(seconds=self.config.absolute_timeout_s):
            session.ended = self.default_expired_mode
            return None
        session.used_at = now
        return session

    def expired_mode(self, token: str | None) -> ExpiredMode:
        """How to refuse a request whose cookie is not that of a live session."""
        session = self._live.get(token or "")
        if session is None or session.ended is None:
            return self.default_expired_mode
        return session.ended

    def end(self, token: str | None, mode: ExpiredMode | None = None) -> None:
        """End one session; its requests are refused in ``mode`` from now on."""
        session = self._live.get(token or "")
        if session is not None:
            session.ended = mode or self.default_expired_mode

    def end_all(self, company_id: str, mode: ExpiredMode) -> int:
        """End the clinic's sessions, those that ended before included; returns how many."""
        ended = [s for s in self._live.values() if s.company_id == company_id]
        for session in ended:
            session.ended = mode
        return len(ended)

    def note_wrong(self, company_id: str, username: str) -> None:
        """Remember a wrong password."""
        self._wrong[company_id, username] += 1

    def note_right(self, company_id: str, username: str) -> None:
        """Forget the wrong passwords before a right one."""
        self._wrong.pop((company_id, username), None)

    def is_locked(self, company_id: str, username: str) -> bool:
        """Whether too many wrong passwords were tried."""
        return self._wrong[company_id, username] >= WRONG_ATTEMPTS_ALLOWED

    def unlock(self, company_id: str) -> None:
        """Forget every wrong password of the company."""
        for key in [key for key in self._wrong if key[0] == company_id]:
            del self._wrong[key]

    def wait_for_step(self, browser: str, company_id: str) -> None:
        """Note that the browser gave a right password and has one more page to pass."""
        self._pending[browser] = company_id

    def waiting(self, browser: str | None) -> str | None:
        """The company whose further page the browser is on."""
        return self._pending.get(browser or "")

    def pass_step(self, browser: str) -> None:
        """Note that the browser has passed its further page."""
        self._pending.pop(browser, None)

    def reset(self) -> None:
        """Remove every session and wrong password."""
        self.default_expired_mode = "redirect"
        self.logins.clear()
        self._live.clear()
        self._wrong.clear()
        self._pending.clear()
