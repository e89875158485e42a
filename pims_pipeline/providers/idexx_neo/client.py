"""HTTP to the vendor with a session: cookies, headers, and what its responses mean.

Every response is classified here and nowhere else: the result is a body to parse, None for a 404
or 410, or an error of the port's tree. Rate limit, retries and timeouts belong in
``providers/http``; what a body means belongs in ``parsing``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http.cookiejar import Cookie, CookieJar
from urllib.parse import urlsplit

import httpx2

from pims_pipeline.providers.http.client import open_client
from pims_pipeline.providers.http.errors import (
    GONE,
    error_of_body,
    error_of_status,
    is_web_page,
    text_in,
)
from pims_pipeline.providers.http.exchange import Account, Exchange
from pims_pipeline.providers.idexx_neo.login.page_state import PASSING
from pims_pipeline.providers.idexx_neo.parsing.login_page import is_login_page
from pims_pipeline.providers.idexx_neo.session import NeoSession, SessionCookie
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.parsing.decoding import is_json
from pims_pipeline.providers.port import PimsError, SessionExpired
from pims_pipeline.providers.stop_signal import StopSignal

PER_SECOND = 10.0
"""Requests to one account, unless a setting says otherwise."""
_HEADERS = {"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}
_HEADING = re.compile(r"<(?:title|h1)[^<>]{0,200}>([^<]{0,500})", re.IGNORECASE)


class IdexxNeoClient:
    """The requests of one account; may be used by several threads at once.

    Attributes:
        saw_maintenance: Whether a response was a page about maintenance.
    """

    def __init__(
        self,
        session: NeoSession,
        options: RequestOptions,
        *,
        clock: Callable[[], datetime],
        stop: StopSignal | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            session: The session of the account.
            options: The rate and the timeouts of requests.
            clock: Gives the present time, aware UTC.
            stop: Ends every wait, also before and between requests.
        """
        self.saw_maintenance = False
        jar = CookieJar()
        for cookie in session.cookies:
            jar.set_cookie(_jar_cookie(cookie))
        self._http = open_client(
            base_url=session.base_url,
            headers=_HEADERS,
            cookies=jar,
            timeout=httpx2.Timeout(options.read_timeout, connect=options.connect_timeout),
            follow_redirects=False,
        )
        self._exchange = Exchange(
            self._http,
            Account("IDEXX Neo", session.base_url, session.account, PER_SECOND),
            options,
            clock=clock,
            stop=stop or StopSignal(),
            error_of=self._error_of,
        )

    def get(self, path: str, params: Mapping[str, str], *, what: str) -> bytes | None:
        """The body of the vendor's response in UTF-8; None when its status is 404 or 410.

        Args:
            path: Below the base URL, starting with a slash.
            params: The query.
            what: What is fetched, in words that may be logged.

        Raises:
            SessionExpired: If the vendor wants a login.
            TransientError: If none of four tries got a sound response, or the vendor asks to wait
                longer than a minute.
            ContractViolation: If the response is not part of its interface.
            RunStopped, TimeLimitReached: From the stop signal.
        """
        response = self._exchange.respond(
            lambda: self._http.build_request("GET", path, params=dict(params)), what=what
        )
        return None if response.status_code in GONE else text_in(response).encode()

    def cookies(self) -> tuple[SessionCookie, ...]:
        """The cookies after the vendor's latest responses."""
        return tuple(
            SessionCookie(
                name=cookie.name,
                value=cookie.value or "",
                domain=cookie.domain,
                path=cookie.path,
                expires=cookie.expires,
                secure=cookie.secure,
            )
            for cookie in self._http.cookies.jar
        )

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def _error_of(self, response: httpx2.Response, failed: str) -> PimsError | None:
        """The error of a response; None when it can be parsed, or is a 404 or 410.

        Args:
            response: From the vendor.
            failed: The beginning of the error's message: what could not be fetched.
        """
        status = response.status_code
        if _wants_login(response):
            return SessionExpired(f"{failed}: it wants a login ({status}). Log in again.")
        if status != httpx2.codes.OK:
            return error_of_status(response, failed)
        if is_web_page(response):
            headings = " ".join(_HEADING.findall(text_in(response)[:20_000]))
            self.saw_maintenance |= PASSING.search(headings) is not None
        return error_of_body(response, failed)


def _wants_login(response: httpx2.Response) -> bool:
    """Whether the response is one of the three that mean an ended session."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return True
    if response.is_redirect:
        return "login" in urlsplit(response.headers.get("Location", "")).path.lower().split("/")
    if response.status_code != httpx2.codes.OK or not is_web_page(response):
        return False
    text = text_in(response)
    return not is_json(text) and is_login_page(text)


def _jar_cookie(cookie: SessionCookie) -> Cookie:
    # The standard jar stores a host without dots ("localhost") under this name only.
    domain = cookie.domain if "." in cookie.domain else f"{cookie.domain}.local"
    return Cookie(
        version=0,
        name=cookie.name,
        value=cookie.value,
        port=None,
        port_specified=False,
        domain=domain,
        domain_specified=domain.startswith("."),
        domain_initial_dot=domain.startswith("."),
        path=cookie.path,
        path_specified=True,
        secure=cookie.secure,
        expires=None if cookie.expires is None else int(cookie.expires),
        discard=cookie.expires is None,
        comment=None,
        comment_url=None,
        rest={},
    )
