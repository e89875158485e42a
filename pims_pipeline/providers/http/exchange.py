"""Requests to one vendor account: rate limit, retries, timeouts, errors of the port's tree.

Shared by vendors. An adapter builds the requests and decides what a response means, with the
helpers of ``errors``. The network itself belongs in ``client``.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import stamina

from pims_pipeline.providers.http.client import (
    MAX_BODY_BYTES,
    RequestTimedOut,
    ResponseTooLarge,
    send,
)
from pims_pipeline.providers.http.errors import transport_problem, wait_asked_for
from pims_pipeline.providers.http.rate_limit import bucket_for
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

ErrorOf = Callable[[httpx2.Response, str], PimsError | None]
"""The error of a response, or None if the adapter can use it. The string begins the message."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a vendor, as requests and their errors need it.

    Attributes:
        vendor: The vendor's name in messages.
        address: Where requests go, for messages.
        key: Identifies the account within the process, without revealing it.
        per_second: The rate of its requests, if the options name none.
    """

    vendor: str
    address: str
    key: str
    per_second: float


class Exchange:
    """The requests of one account; may be used by several threads at once."""

    def __init__(
        self,
        http: httpx2.Client,
        account: Account,
        options: RequestOptions,
        *,
        clock: Callable[[], datetime],
        stop: StopSignal,
        error_of: ErrorOf,
    ) -> None:
        """Nothing is sent yet.

        Args:
            http: Opened by ``open_client``; closed with this object.
            account: Whose requests they are.
            options: The rate and the timeouts of requests.
            clock: Gives the present time, aware UTC.
            stop: Ends every wait, also before and between requests.
            error_of: Decides what is wrong with a response; statuses that are worth a retry have
                been decided before.
        """
        self._http = http
        self._account = account
        self._options = options
        self._clock = clock
        self._stop = stop
        self._error_of = error_of
        self._bucket = bucket_for(account.key, options.per_second or account.per_second)

    def respond(
        self, build: Callable[[], httpx2.Request], *, what: str, tries: int | None = None
    ) -> httpx2.Response:
        """The vendor's response, in which ``error_of`` finds no error.

        Args:
            build: Makes the request; called again for each try.
            what: What is fetched, in words that may be logged.
            tries: How often a transient failure is tried in all; ``MAX_TRIES`` when None.

        Raises:
            TransientError: If no try got a sound response, or the vendor asks to wait longer than
                a minute.
            SessionExpired: If the client was closed during it: another thread has logged in.
            PimsError: From ``error_of``.
            RunStopped, TimeLimitReached: From the stop signal.
        """
        failure: TransientError | None = None
        # The library would sleep between tries without the stop signal; so it only counts them.
        for attempt in stamina.retry_context(
            on=_is_worth_a_retry,
            attempts=MAX_TRIES if tries is None else tries,
            timeout=None,
            wait_initial=0,
            wait_jitter=0,
            wait_max=0,
        ):
            with attempt:
                if failure is not None:
                    self._stop.wait(self._pause(attempt.num, failure))
                try:
                    return self._respond_once(build, what)
                except TransientError as error:
                    failure = error
                    raise
        raise AssertionError("stamina yields at least one attempt")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _pause(self, attempt: int, failure: TransientError) -> float:
        """Seconds before an attempt, counted from 1: what the vendor requested, or a backoff."""
        if failure.retry_after is not None:
            return failure.retry_after
        spread = random.uniform(0, self._options.retry_base_delay)  # noqa: S311 - spreads retries, keeps no secret
        return min(self._options.retry_base_delay * 2.0 ** (attempt - 2) + spread, LONGEST_WAIT / 2)

    def _respond_once(self, build: Callable[[], httpx2.Request], what: str) -> httpx2.Response:
        self._bucket.take(self._stop.wait)
        failed = f"Cannot fetch {what} from {self._account.vendor} at {self._account.address}"
        response = self._sent(build(), failed)
        failure = self._error_of(response, failed)
        if isinstance(failure, TransientError):
            failure = self._with_wait(failure, response, failed)
        if failure is not None:
            raise failure
        return response

    def _sent(self, request: httpx2.Request, failed: str) -> httpx2.Response:
        try:
            return send(self._http, request, stop=self._stop, seconds=self._options.total_timeout)
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
        except (httpx2.TransportError, httpx2.DecodingError, RuntimeError) as error:
            if self._http.is_closed:
                raise SessionExpired(
                    f"{failed}: another login took the place of this session during the request."
                ) from error
            if isinstance(error, RuntimeError):
                raise
            raise TransientError(
                f"{failed}: {transport_problem(error)}. Try again later."
            ) from error

    def _with_wait(
        self, failure: TransientError, response: httpx2.Response, failed: str
    ) -> TransientError:
        """The failure, with the wait that the vendor asks for.

        All requests of the account wait, unless that takes too long.
        """
        now = self._clock()
        wait = wait_asked_for(response, now)
        if wait is None:
            return failure
        if wait <= LONGEST_WAIT:
            self._bucket.hold_off(wait)
        later = now + timedelta(seconds=wait)
        return TransientError(
            f"{failed}: it responded with status {response.status_code} and asks to wait "
            f"{wait:.0f} s. Try again after {later:%Y-%m-%d %H:%M:%S} UTC.",
            retry_after=wait,
        )


def _is_worth_a_retry(error: Exception) -> bool:
    return isinstance(error, TransientError) and (error.retry_after or 0) <= LONGEST_WAIT
