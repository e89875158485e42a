"""A session that outlives the browser: its cookies, its account, and when it ends.

Encoding for storage only; encryption belongs in the store, HTTP in ``client``.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from pims_pipeline.domain.records.canonical import digest
from pims_pipeline.providers.port import Credentials, SessionExpired, SessionState

LONGEST_SESSION = timedelta(hours=8)
"""The vendor ends a session after this time, even one in use."""
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """One cookie of the logged-in browser; its value is secret.

    Attributes:
        expires: Seconds since the epoch, or None for as long as the browser is open.
    """

    name: str
    value: str = field(repr=False)
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False

    @property
    def proves_login(self) -> bool:
        """Whether its name shows that it carries the session."""
        return any(word in self.name.lower() for word in ("session", "auth"))


@dataclass(frozen=True, slots=True)
class NeoSession:
    """A logged-in account.

    Attributes:
        account: A digest that identifies the vendor account without revealing it.
        base_url: The only address that the cookies may be sent to.
        expires_at: Aware UTC; the latest time at which the vendor can still accept it.
    """

    account: str
    base_url: str
    cookies: tuple[SessionCookie, ...]
    expires_at: datetime


def account_of(base_url: str, credentials: Credentials) -> str:
    """The digest that names the account ``credentials`` belong to at ``base_url``."""
    who = (base_url, credentials.get("company_id") or "", credentials["username"].strip().lower())
    return digest("\n".join(who))


def session_end(cookies: tuple[SessionCookie, ...], logged_in_at: datetime) -> datetime:
    """When the session ends: after the vendor's eight hours, or with its cookie if sooner."""
    latest = logged_in_at + LONGEST_SESSION
    ends = (
        datetime.fromtimestamp(min(cookie.expires, latest.timestamp()), UTC)
        for cookie in cookies
        if cookie.proves_login and cookie.expires is not None
    )
    return min(ends, default=latest)


def exported(session: NeoSession) -> SessionState:
    """``session`` in the form that is stored."""
    content = {
        "format": _FORMAT,
        "account": session.account,
        "base_url": session.base_url,
        "cookies": [asdict(cookie) for cookie in session.cookies],
    }
    return SessionState(data=json.dumps(content).encode(), expires_at=session.expires_at)


def restored(state: SessionState, *, base_url: str, now: datetime) -> NeoSession:
    """The session in ``state``.

    Raises:
        SessionExpired: If it has ended, cannot be read, or belongs to another address. In each
            case a new login helps.
    """
    if state.expires_at <= now:
        raise SessionExpired(
            f"The stored session for {base_url} ended at {state.expires_at:%Y-%m-%d %H:%M} UTC; "
            "log in again."
        )
    session = _decoded(state)
    if session is None:
        raise SessionExpired(f"The stored session for {base_url} cannot be read; log in again.")
    if session.base_url != base_url:
        raise SessionExpired(
            f"The stored session belongs to another address than {base_url}; log in again."
        )
    return session


def _decoded(state: SessionState) -> NeoSession | None:
    try:
        content = json.loads(state.data)
        if content["format"] != _FORMAT:
            return None
        return NeoSession(
            account=str(content["account"]),
            base_url=str(content["base_url"]),
            cookies=tuple(SessionCookie(**cookie) for cookie in content["cookies"]),
            expires_at=state.expires_at,
        )
    except (ValueError, KeyError, TypeError):
        # The problem does not matter, and the text is secret.
        return None
