"""What is wrong with a response, as far as vendors share it: its status, its form. Pure.

Each function returns an error of the port's tree, or None; the caller raises it. What a status
means to one vendor alone (an ended session, a refused key) belongs in its adapter.
"""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from pims_pipeline.providers.parsing.decoding import (
    is_cut_off,
    is_json,
    looks_like_html,
    text_of,
)
from pims_pipeline.providers.port import ContractViolation, PimsError, TransientError

GONE = frozenset({httpx2.codes.NOT_FOUND, httpx2.codes.GONE})
"""Statuses of something that does not exist."""
_LONGEST_WAIT = 366 * 86400.0
"""Seconds; a longer wait is as good as none, and its end may be no date."""
_WORTH_RETRYING = frozenset({408, 425, 429})


def error_of_status(response: httpx2.Response, failed: str) -> PimsError | None:
    """The error of a status; None for a success, and for ``GONE``, which adapters decide.

    Args:
        response: The vendor's.
        failed: The beginning of the message: what could not be fetched.
    """
    status = response.status_code
    if status == httpx2.codes.OK or status in GONE:
        return None
    if status in _WORTH_RETRYING or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return TransientError(f"{failed}: it responded with status {status}. Try again later.")
    return ContractViolation(
        f"{failed}: it responded with status {status}, which is not part of its interface. "
        "Check the clinic's base URL and what its account may see."
    )


def error_of_body(response: httpx2.Response, failed: str) -> PimsError | None:
    """The error of a body that should be JSON; one that is odd but no page is left to parsers."""
    text = text_in(response)
    if is_json(text):
        return None
    if is_web_page(response):
        return ContractViolation(
            f"{failed}: it sent a web page instead of JSON. Nothing was changed; see "
            "whether the vendor is under maintenance."
        )
    if is_cut_off(text):
        return TransientError(f"{failed}: the response broke off. Try again later.")
    return None


def is_web_page(response: httpx2.Response) -> bool:
    """Whether what should be JSON is a web page, by its first character or what it says it is."""
    return looks_like_html(text_in(response), response.headers.get("Content-Type", ""))


def text_in(response: httpx2.Response) -> str:
    """The text of a response's body."""
    return text_of(response.content, response.charset_encoding)


def wait_asked_for(response: httpx2.Response, now: datetime) -> float | None:
    """The seconds that ``Retry-After`` asks to wait, from a number or an HTTP date.

    Args:
        response: The vendor's.
        now: Aware UTC.
    """
    header = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header, now)
    return min(seconds, _LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = (aware - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def transport_problem(error: Exception) -> str:
    """How a request failed, without anything that the vendor sent."""
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
        return "it could not be reached"
    if isinstance(error, httpx2.TimeoutException):
        return "it did not respond in time"
    if isinstance(error, httpx2.DecodingError | httpx2.RemoteProtocolError):
        return "the response broke off"
    return f"the connection failed ({type(error).__name__})"
