"""HTTP to the vendor with a session: headers, rate limit, retries, and errors of responses.

Every response is classified here and nowhere else: the result is a body to parse, None for a 404
or 410, or an error of the port's tree. What a body means belongs in ``parsing``.
"""

import math
import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import Cookie, CookieJar
from urllib.parse import urlsplit

import httpx2
import stamina

from pims_pipeline.providers.http.client import (
    MAX_BODY_BYTES,
    RequestTimedOut,
    ResponseTooLarge,
    get,
    open_client,
)
from pims_pipeline.providers.http.rate_limit import bucket_for
from pims_pipeline.providers.idexx_neo.login.page_state import PASSING
from pims_pipeline.providers.idexx_neo.parsing.decoding import (
    is_cut_off,
    is_json,
    is_login_page,
    looks_like_html,
    text_of,
)
from pims_pipeline.providers.idexx_neo.session import NeoSession, SessionCookie
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.port import (
    ContractViolation,
    PimsError,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal

MAX_TRIES = 4
LONGEST_WAIT = 60.0
"""Seconds; when the vendor asks for a longer wait, the request fails instead."""

_HEADERS = {"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}
_WORTH_RETRYING = frozenset({408, 425, 429})
_HEADING = re.compile(r"<(?:title|h1)[^<>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_GONE = frozenset({httpx2.codes.NOT_FOUND, httpx2.codes.GONE})


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
        self._session = session
        self._options = options
        self._stop = stop or StopSignal()
        self._clock = clock
        self._bucket = bucket_for(session.account, options.per_second)
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
        failure: TransientError | None = None
        # The library would sleep between tries without the stop signal; so it only counts them.
        for attempt in stamina.retry_context(
            on=_is_worth_a_retry,
            attempts=MAX_TRIES,
            timeout=None,
            wait_initial=0,
            wait_jitter=0,
            wait_max=0,
        ):
            with attempt:
                if failure is not None:
                    self._stop.wait(self._pause(attempt.num, failure))
                try:
                    return self._request_once(path, params, what)
                except TransientError as error:
                    failure = error
                    raise
        raise AssertionError("stamina yields at least one attempt")

    def _pause(self, attempt: int, failure: TransientError) -> float:
        """Seconds before an attempt, counted from 1: what the vendor requested, or a backoff."""
        if failure.retry_after is not None:
            return failure.retry_after
        spread = random.uniform(0, self._options.retry_base_delay)  # noqa: S311 - spreads retries, keeps no secret
        return min(self._options.retry_base_delay * 2.0 ** (attempt - 2) + spread, LONGEST_WAIT / 2)

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
        self._http.close()

    def _request_once(self, path: str, params: Mapping[str, str], what: str) -> bytes | None:
        self._bucket.take(self._stop.wait)
        failed = f"Cannot fetch {what} from IDEXX Neo at {self._session.base_url}"
        failure: PimsError | None
        try:
            response = get(
                self._http, path, params, stop=self._stop, seconds=self._options.total_timeout
            )
        except RequestTimedOut as error:
            raise TransientError(
                f"{failed}: the response was not complete within {error.seconds:g} s "
                "(PIMS_REQUEST_TIMEOUT_SECONDS). Try again later."
            ) from error
        except ResponseTooLarge as error:
            raise ContractViolation(
                f"{failed}: the response is larger than {MAX_BODY_BYTES // 2**20} MiB. Nothing "
                "was concluded from it; ask the vendor what its server sends."
            ) from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            failure = TransientError(f"{failed}: {_transport_problem(error)}. Try again later.")
            raise failure from error
        failure = self._error_of(response, failed)
        if failure is not None:
            raise failure
        return None if response.status_code in _GONE else _text(response).encode()

    def _error_of(self, response: httpx2.Response, failed: str) -> PimsError | None:
        """The error of a response; None when it can be parsed, or is a 404 or 410.

        Args:
            response: From the vendor.
            failed: The beginning of the error's message: what could not be fetched.
        """
        status = response.status_code
        if _wants_login(response):
            return SessionExpired(f"{failed}: it wants a login ({status}). Log in again.")
        if status in _WORTH_RETRYING or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            return self._transient(response, failed)
        if status in _GONE:
            return None
        if status != httpx2.codes.OK:
            return ContractViolation(
                f"{failed}: it responded with status {status}, which is not part of its interface. "
                "Check the clinic's base URL and what its account may see."
            )
        text = _text(response)
        if looks_like_html(text, response.headers.get("Content-Type", "")):
            headings = " ".join(_HEADING.findall(text[:20_000]))
            self.saw_maintenance |= PASSING.search(headings) is not None
        return _error_of_body(response, failed)

    def _transient(self, response: httpx2.Response, failed: str) -> TransientError:
        """A transient fault; delays all requests of the account when the vendor asks to wait."""
        status = response.status_code
        wait = _retry_after(response, self._clock())
        if wait is None:
            return TransientError(f"{failed}: it responded with status {status}. Try again later.")
        if wait <= LONGEST_WAIT:
            self._bucket.hold_off(wait)
        later = self._clock() + timedelta(seconds=wait)
        return TransientError(
            f"{failed}: it responded with status {status} and asks to wait {wait:.0f} s. "
            f"Try again after {later:%Y-%m-%d %H:%M:%S} UTC.",
            retry_after=wait,
        )


def _is_worth_a_retry(error: Exception) -> bool:
    return isinstance(error, TransientError) and (error.retry_after or 0) <= LONGEST_WAIT


def _error_of_body(response: httpx2.Response, failed: str) -> PimsError | None:
    text = _text(response)
    if is_json(text):
        return None
    if looks_like_html(text, response.headers.get("Content-Type", "")):
        return ContractViolation(
            f"{failed}: it sent a web page instead of JSON. Nothing was changed; see "
            "whether the vendor is under maintenance."
        )
    if is_cut_off(text):
        return TransientError(f"{failed}: the response broke off. Try again later.")
    return None


def _wants_login(response: httpx2.Response) -> bool:
    """Whether the response is one of the three that mean an ended session."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return True
    if response.is_redirect:
        return "login" in urlsplit(response.headers.get("Location", "")).path.lower().split("/")
    if response.status_code != httpx2.codes.OK:
        return False
    text = _text(response)
    is_page = looks_like_html(text, response.headers.get("Content-Type", ""))
    return is_page and not is_json(text) and is_login_page(text)


def _text(response: httpx2.Response) -> str:
    return text_of(response.content, response.charset_encoding)


def _retry_after(response: httpx2.Response, now: datetime) -> float | None:
    """The seconds that the vendor asks to wait, from a number or an HTTP date."""
    header = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)


def _transport_problem(error: Exception) -> str:
    """How the request failed, without anything that the vendor sent."""
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
        return "it could not be reached"
    if isinstance(error, httpx2.TimeoutException):
        return "it did not respond in time"
    if isinstance(error, httpx2.DecodingError | httpx2.RemoteProtocolError):
        return "the response broke off"
    return f"the connection failed ({type(error).__name__})"


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
