"""The request to a receiver: only to addresses that may be called, without redirects, in time.

A name is looked up, checked and connected to in one step, so that it cannot change in between. What
a receiver responds decides; what it says is neither kept nor shown.
"""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2

from pims_pipeline.domain.webhooks.receivers import BadWebhookUrl, Network, may_be_called
from pims_pipeline.providers.http.client import (
    AddressRefused,
    RequestTimedOut,
    ResponseTooLarge,
    open_client,
    send,
)
from pims_pipeline.providers.http.errors import wait_asked_for
from pims_pipeline.providers.stop_signal import StopSignal
from pims_pipeline.webhooks.messages import MOST_BYTES, SignedMessage

REQUEST_SECONDS = 10.0
_AGENT = "pims-pipeline-webhooks"


@dataclass(frozen=True, slots=True)
class Response:
    """How a request ended.

    Attributes:
        error: Why the message was not accepted, in a few words; None if it was.
        retry_after: Seconds that the receiver asks to wait.
        is_gone: Whether the receiver wants no more messages (410).
    """

    error: str | None = None
    retry_after: float | None = None
    is_gone: bool = False


class Sender:
    """Sends messages; safe to share between threads. A context manager that closes connections.

    Args:
        allowed: Networks that may be called although they are not public.
        stop: Ends each request when it is stopped.
        seconds: The timeout of a whole request.
    """

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        stop: StopSignal | None = None,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._allowed = tuple(allowed)
        self._stop = stop or StopSignal()
        self._seconds = seconds
        self._clients: dict[str, httpx2.Client] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def is_stopped(self) -> bool:
        """Whether it sends no more."""
        return self._stop.is_stopped

    def send(self, url: str, message: SignedMessage) -> Response:
        """Send a message, and return how it ended; raises only if it is stopped."""
        try:
            client = self._client(urlsplit(url).scheme)
            request = client.build_request(
                "POST", url, content=message.body, headers=dict(message.headers)
            )
            response = send(
                client, request, stop=self._stop, seconds=self._seconds, max_bytes=MOST_BYTES
            )
        except AddressRefused:
            return Response("its address is not public")
        except (RequestTimedOut, httpx2.TimeoutException):
            return Response("timeout")
        except ResponseTooLarge:
            return Response(f"its response is longer than {MOST_BYTES // 1024} KiB")
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError) as error:
            return Response(f"no connection ({type(error).__name__})")
        return _meaning(response)

    def _client(self, scheme: str) -> httpx2.Client:
        with self._opening:
            if scheme not in self._clients:
                self._clients[scheme] = open_client(
                    timeout=self._seconds,
                    follow_redirects=False,
                    # No proxy: it would look names up itself, unchecked.
                    trust_env=False,
                    headers={"user-agent": _AGENT},
                    # Receivers of several clinics may share a host.
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                    may_connect=lambda address: may_be_called(
                        address, self._allowed, only_allowed=scheme != "https"
                    ),
                )
            return self._clients[scheme]


def check_literal_host(url: str, allowed: Sequence[Network]) -> None:
    """Refuse a host that is an address, in any notation, if webhooks may not call it.

    A name is not looked up: its addresses count when a message is sent.

    Raises:
        BadWebhookUrl: If it may not be called.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    only_allowed = parts.scheme != "https"
    addresses = [str(each[4][0]) for each in found]
    if not all(may_be_called(each, allowed, only_allowed=only_allowed) for each in addresses):
        raise BadWebhookUrl(
            "a webhook's host must have public addresses only, or be in "
            "PIMS_WEBHOOK_ALLOWED_NETWORKS; http:// is for the latter"
        )


def _meaning(response: httpx2.Response) -> Response:
    status = response.status_code
    if response.is_success:
        return Response()
    if status == HTTPStatus.GONE:
        return Response("it responds with 410: it wants no more messages", is_gone=True)
    if response.is_redirect:
        return Response(f"it redirects ({status}), which is not followed")
    wait = wait_asked_for(response, datetime.now(UTC))
    return Response(f"status {status}", retry_after=wait)
