"""HTTP to the vendor's GraphQL address: the key, and what a response as a whole means.

The result of a query is its ``data``, whole; anything else is an error of the port's tree. What the
data means belongs in ``parsing``; rate limit, retries and timeouts in ``providers/http``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

import httpx2

from pims_pipeline.domain.records.canonical import digest
from pims_pipeline.providers.http.client import open_client
from pims_pipeline.providers.http.errors import GONE, error_of_body, error_of_status, text_in
from pims_pipeline.providers.http.exchange import Account, Exchange
from pims_pipeline.providers.options import RequestOptions
from pims_pipeline.providers.parsing.bodies import json_object, violation
from pims_pipeline.providers.parsing.decoding import is_json, parse_json
from pims_pipeline.providers.parsing.fields import is_none
from pims_pipeline.providers.port import (
    ContractViolation,
    PimsError,
    SessionExpired,
    TransientError,
)
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.providers.vetspire.documents import ASSUMED_FIELDS

VENDOR = "Vetspire"
PER_SECOND = 5.0
"""Requests to one organisation; the vendor publishes no limit."""

_DENIALS = frozenset({"not", "no", "couldn't", "cannot", "can't", "doesn't", "unknown"})
_EXISTENCE = frozenset({"found", "find", "exist", "exists", "such", "unknown"})
_RECORDS = frozenset({"appointment", "encounter", "record", "resource", "entity", "item", "id"})
_FILLERS = frozenset({"the", "a", "an", "this", "with", "for", "was", "is", "does", "could", "be"})
_OF_UNKNOWN_RECORDS = _DENIALS | _EXISTENCE | _RECORDS | _FILLERS
"""The words of an error about a record that does not exist. Any other word means another error."""
_MAY_PASS = re.compile(
    r"internal (?:server )?error|time(?:d )?[ -]?out|temporar|try again|unavailable|overload"
    r"|too many|rate limit",
    re.IGNORECASE,
)
"""What servers say of errors that are likely to pass."""
_REFUSED = frozenset({httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN})


class ReportedErrors(ContractViolation):
    """The vendor reported errors for a query; whatever data came with them is dropped.

    Attributes:
        all_unknown: Whether every one of them says that something does not exist.
        refuses_assumed: Whether they name one of ``documents.ASSUMED_FIELDS``.
    """

    def __init__(self, message: str, *, all_unknown: bool, refuses_assumed: bool) -> None:
        super().__init__(message)
        self.all_unknown = all_unknown
        self.refuses_assumed = refuses_assumed


class ServerFault(TransientError):
    """The vendor's program failed over the request (500); one record may be the cause."""


class VetspireClient:
    """The requests with one key; may be used by several threads at once."""

    def __init__(
        self,
        address: str,
        api_key: str,
        options: RequestOptions,
        *,
        clock: Callable[[], datetime],
        stop: StopSignal,
    ) -> None:
        """Nothing is sent yet.

        Args:
            address: The GraphQL address; ``/graphql`` of it, if it has no path.
            api_key: Sent as it is; it opens the whole organisation.
            options: The rate and the timeouts of requests.
            clock: Gives the present time, aware UTC.
            stop: Ends every wait.
        """
        self._address = address if urlsplit(address).path.strip("/") else f"{address}/graphql"
        self._http = open_client(
            headers={"Accept": "application/json", "Authorization": api_key},
            timeout=httpx2.Timeout(options.read_timeout, connect=options.connect_timeout),
            follow_redirects=False,
        )
        self._exchange = Exchange(
            self._http,
            Account(VENDOR, address, digest(f"{address}\n{api_key}"), PER_SECOND),
            options,
            clock=clock,
            stop=stop,
            error_of=_error_of,
        )

    def query(
        self, document: str, variables: Mapping[str, object], *, what: str
    ) -> Mapping[str, object]:
        """The data of a query, without any error.

        Args:
            document: One of ``documents``.
            variables: Of the document.
            what: What is fetched, in words that may be logged.

        Raises:
            SessionExpired: If the vendor refuses the key.
            ReportedErrors: If it reports errors, with or without data.
            TransientError: If none of four tries got a sound response or another error than one
                that may pass, or the vendor asks to wait longer than a minute.
            ContractViolation: If the response is not part of its interface.
            RunStopped, TimeLimitReached: From the stop signal.
        """
        try:
            return self.query_records(document, variables, what=what)
        except ServerFault as error:
            raise TransientError(str(error)) from error

    def query_records(
        self,
        document: str,
        variables: Mapping[str, object],
        *,
        what: str,
        tries: int | None = None,
    ) -> Mapping[str, object]:
        """``query``, for callers that look for the record over which the vendor fails.

        Raises:
            ServerFault: If that happens at each of the ``tries``.
        """
        body = {"query": document, "variables": dict(variables)}
        response = self._exchange.respond(
            lambda: self._http.build_request("POST", self._address, json=body),
            what=what,
            tries=tries,
        )
        return _data(text_in(response), what)

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()


def _error_of(response: httpx2.Response, failed: str) -> PimsError | None:
    """What is wrong with a response; reported errors that stay are left to ``_data``."""
    status = response.status_code
    if status in _REFUSED:
        # Whether the key is refused altogether shows when it is checked again.
        return SessionExpired(
            f"{failed}: it refused the API key ({status}). If the key still opens the locations, "
            "ask the vendor to let it read this; else store a valid one as 'api_key' with "
            "`pims credentials set`."
        )
    if status == httpx2.codes.INTERNAL_SERVER_ERROR:
        return ServerFault(f"{failed}: it responded with status {status}. Try again later.")
    if status in GONE:
        return ContractViolation(
            f"{failed}: it responded with status {status}. Check the clinic's base URL, which must "
            "be the GraphQL address."
        )
    return (
        error_of_status(response, failed)
        or error_of_body(response, failed)
        or _passing_error(text_in(response), failed)
    )


def _passing_error(text: str, failed: str) -> TransientError | None:
    """The error of a response whose reported errors say that they may pass."""
    if '"errors"' not in text or not is_json(text):
        return None
    content = parse_json(text)
    errors = content.get("errors") if isinstance(content, Mapping) else None
    if is_none(errors) or not any(map(_MAY_PASS.search, _messages(errors))):
        return None
    return TransientError(
        f"{failed}: it reported an error of its own (200 with 'errors'). Try again later."
    )


def _data(text: str, what: str) -> Mapping[str, object]:
    content = json_object(text, what, VENDOR)
    errors = content.get("errors")
    if not is_none(errors):
        messages = _messages(errors)
        raise ReportedErrors(
            f"Cannot fetch {what} from {VENDOR}: it reported an error (200 with 'errors'). Nothing "
            "was concluded from what came with it; if it lasts, ask the vendor.",
            all_unknown=_all_unknown(messages),
            refuses_assumed=any(name in each for each in messages for name in ASSUMED_FIELDS),
        )
    data = content.get("data")
    if not isinstance(data, Mapping):
        raise violation(what, "JSON without 'data'", VENDOR)
    return data


def _messages(errors: object) -> list[str]:
    """The message of each error, which no log may show; the empty text where there is none."""
    items = errors if isinstance(errors, list) else [errors]
    messages = [each.get("message") if isinstance(each, Mapping) else None for each in items]
    return [each if isinstance(each, str) else "" for each in messages]


def _all_unknown(messages: list[str]) -> bool:
    """Whether every error says that what was requested does not exist."""
    return bool(messages) and all(map(_is_unknown, messages))


def _is_unknown(message: str) -> bool:
    """Whether the message says that a record does not exist, and nothing else.

    "Location not found" and "Unknown error" do not say that.
    """
    without_identities = re.sub(r"\S*\d\S*", " ", message.lower().replace("_", " "))
    words = set(re.findall(r"[^\W\d]+(?:'[a-z]+)?", without_identities))
    denies = not words.isdisjoint(_DENIALS) and not words.isdisjoint(_EXISTENCE)
    return denies and words <= _OF_UNKNOWN_RECORDS
