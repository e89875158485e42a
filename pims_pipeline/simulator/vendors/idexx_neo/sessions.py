"""Who is logged in: sessions with their two time limits, lockout, and half-finished logins.

No page and no HTTP lives here; ``login`` draws the pages and ``responses`` turns people away.
"""

import hmac
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig

ExpiredMode = Literal["redirect", "401", "html"]
"""How a request without a live session is answered."""
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
"""What stands between a right password and a session that answers questions."""
HELD_MODES: frozenset[LoginMode] = frozenset(
    {"location", "password_expired", "device", "news", "robot", "closed"}
)
"""Modes that give a session at once, and a page to pass before it answers anything."""

WRONG_ATTEMPTS_ALLOWED = 5
"""The so-many-th wrong password locks the account."""
SIMULATED_CODE = "246810"
"""The one-time code that the code page accepts."""


@dataclass(slots=True)
class Session:
    """One login.

    Attributes:
        form_token: Guards the people's page against forged forms.
        held_at: The page to pass before anything is answered; None when there is none.
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

    def login_token(self, visit: str) -> str:
        """The hidden form token that belongs to the browser visit ``visit``."""
        return hmac.new(self._secret, visit.encode(), "sha256").hexdigest()

    def is_login_token(self, visit: str | None, token: str) -> bool:
        """Whether ``token`` is what the login page of that visit carried."""
        if not visit:
            return False
        return hmac.compare_digest(self.login_token(visit).encode(), token.encode())

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
        """The live session of that cookie, its idle time starting anew; otherwise ``None``."""
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
        """How to turn away the bearer of a cookie that is no longer, or never was, good."""
        session = self._live.get(token or "")
        if session is None or session.ended is None:
            return self.default_expired_mode
        return session.ended

    def end(self, token: str | None, mode: ExpiredMode | None = None) -> None:
        """End one session; its bearer is turned away in ``mode`` from now on."""
        session = self._live.get(token or "")
        if session is not None:
            session.ended = mode or self.default_expired_mode

    def end_all(self, company_id: str, mode: ExpiredMode) -> int:
        """End the clinic's sessions, also those already ended otherwise. Gives how many."""
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

    def wait_for_step(self, visit: str, company_id: str) -> None:
        """The visit gave a right password but has one more page to pass."""
        self._pending[visit] = company_id

    def waiting(self, visit: str | None) -> str | None:
        """The company whose further page that visit is on."""
        return self._pending.get(visit or "")

    def pass_step(self, visit: str) -> None:
        """The visit's further page is passed."""
        self._pending.pop(visit, None)

    def reset(self) -> None:
        """Forget everyone."""
        self.default_expired_mode = "redirect"
        self.logins.clear()
        self._live.clear()
        self._wrong.clear()
        self._pending.clear()
