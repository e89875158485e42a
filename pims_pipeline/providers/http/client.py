"""HTTP requests that end: a total timeout, a limit on size, and a stop signal.

The timeouts of an HTTP library apply to each read, so a vendor that sends a byte every few seconds
can hold a request for ever. Here every network operation waits in short intervals, and checks the
request's timeout and the stop signal in between. This covers the whole request, from the name
lookup to the last byte of the body, with TLS and slow headers.

Shared by vendors; what a response means belongs in an adapter.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from pims_pipeline.providers.port import PimsError
from pims_pipeline.providers.stop_signal import POLL_SECONDS, StopSignal

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Far more than a month of any clinic's calendar; a longer body is not read."""

_CHUNK_BYTES = 64 * 1024
_HEAD_BYTES = 64 * 1024
"""More than the headers of any response."""


class RequestTimedOut(Exception):
    """The whole request took longer than its timeout.

    Attributes:
        seconds: The limit.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not complete within {seconds:g} s")
        self.seconds = seconds


class ResponseTooLarge(Exception):
    """The body exceeds ``MAX_BODY_BYTES``."""


class AddressRefused(Exception):
    """The host has an address that this client may not connect to."""


@dataclass(slots=True)
class _Request:
    """The limits of the request that a thread is working on."""

    stop: StopSignal
    seconds: float
    deadline: float
    bytes_left: float

    def count(self, received: bytes) -> bytes:
        """Count what arrived; a flood of headers or of tiny chunks ends as a long body does."""
        self.bytes_left -= len(received)
        if self.bytes_left < 0:
            raise ResponseTooLarge
        return received

    def check(self) -> None:
        self.stop.check()
        if time.monotonic() >= self.deadline:
            raise RequestTimedOut(self.seconds)

    def at_most(self, seconds: float | None) -> float:
        """``seconds``, or less if a limit comes first; never 0, which means not to block."""
        left = max(self.deadline - time.monotonic(), 0.001)
        return left if seconds is None else min(seconds, left)


_current = threading.local()


def _request() -> _Request | None:
    """The request of this thread; None while a connection pool cleans up."""
    found: _Request | None = getattr(_current, "request", None)
    return found


@contextmanager
def _requesting(stop: StopSignal, seconds: float, most_bytes: float) -> Iterator[_Request]:
    deadline = time.monotonic() + seconds
    request = _current.request = _Request(stop, seconds, deadline, most_bytes)
    try:
        yield request
    finally:
        _current.request = None


class ProxyUnusable(PimsError):
    """The environment names a proxy that cannot be used: the installation is at fault."""


def open_client(
    *, may_connect: Callable[[str], bool] | None = None, **options: Any
) -> httpx2.Client:
    """A client whose connections obey the limits of ``send``.

    Args:
        may_connect: Whether the client may connect to an address of the network; a host with
            another one raises ``AddressRefused``. None for any address. Proxies look names up
            themselves: use it with ``trust_env=False``.
        options: Those of ``httpx2.Client``, except ``verify``.

    Raises:
        ProxyUnusable: If a proxy that the environment names cannot be used.
    """
    timeout = options.pop("timeout")
    verify: SSLContext | bool = True
    # Without the environment's proxies, its certificates are trusted all the same.
    if options.get("trust_env", True) or may_connect is not None:
        verify = _trusted_certificates(
            os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        )
    try:
        client = httpx2.Client(timeout=timeout, verify=verify, **options)
    except (ImportError, ValueError, httpx2.InvalidURL):
        # The address is not repeated: it may hold a password.
        client = None
    if client is None:
        raise ProxyUnusable(
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used: it must be "
            "an address such as http://proxy.example:3128, in whose user and password every "
            "character but letters, digits, - . _ ~ is percent-encoded; SOCKS is not supported"
        )
    limit_network(client, may_connect)
    return client


@lru_cache(maxsize=1)
def _trusted_certificates(*_places: str | None) -> SSLContext:
    """The certificates that connections trust; read once for the same environment.

    Reading them takes longer than most syncs of a clinic.
    """
    return httpcore2.default_ssl_context()


def limit_network(client: httpx2.Client, may_connect: Callable[[str], bool] | None = None) -> None:
    """Let the client's connections obey the limits of ``send``, through a proxy too.

    Args:
        client: Not used yet.
        may_connect: As for ``open_client``.
    """
    # The library's client takes no network backend; its connection pools, which are public in
    # httpcore2, do. A transport of our own would lose the proxies of the environment.
    transports = [client._transport, *client._mounts.values()]  # noqa: SLF001 - as above
    for transport in transports:
        if isinstance(transport, httpx2.HTTPTransport):
            transport._pool._network_backend = _LimitedBackend(may_connect)  # noqa: SLF001 - as above


def send(
    client: httpx2.Client,
    request: httpx2.Request,
    *,
    stop: StopSignal,
    seconds: float,
    max_bytes: int | None = None,
) -> httpx2.Response:
    """The whole response to a request, its body read and decoded.

    Args:
        client: Prepared by ``limit_network``.
        request: Built by the client.
        stop: Ends the request when it is stopped.
        seconds: The timeout of the whole request.
        max_bytes: The limit of the body, decoded; ``MAX_BODY_BYTES`` when None. If it is set, all
            that arrives is limited too.

    Raises:
        RequestTimedOut: If it is not complete in time.
        ResponseTooLarge: If the body is larger.
        httpx2.TransportError, httpx2.DecodingError: As the client raises them.
        RunStopped, TimeLimitReached: From ``stop``.
    """
    limit = MAX_BODY_BYTES if max_bytes is None else max_bytes
    with (
        _requesting(stop, seconds, _most_received(max_bytes)) as limits,
        closing(client.send(request, stream=True)) as response,
    ):
        if len(response.headers.get_list("content-encoding", split_commas=True)) > 1:
            # Each layer multiplies a thousandfold what one network chunk becomes in memory.
            raise httpx2.DecodingError("the body is encoded more than once")
        body = bytearray()
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise ResponseTooLarge
            limits.check()
    # The body is decoded already, so no header may say that it is encoded.
    encoded = {"content-encoding", "content-length", "transfer-encoding"}
    return httpx2.Response(
        response.status_code,
        headers=[each for each in response.headers.multi_items() if each[0] not in encoded],
        content=bytes(body),
        request=response.request,
    )


def _most_received(max_bytes: int | None) -> float:
    return math.inf if max_bytes is None else 2 * max_bytes + _HEAD_BYTES


class _LimitedStream(httpcore2.NetworkStream):
    """A connection whose reads wait in short intervals."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        request = _request()
        if request is None:
            return self._stream.read(max_bytes, timeout)
        silent_until = time.monotonic() + request.at_most(timeout)
        while True:
            request.check()
            silent_for = max(silent_until - time.monotonic(), 0.001)
            try:
                wait_for = request.at_most(min(POLL_SECONDS, silent_for))
                return request.count(self._stream.read(max_bytes, wait_for))
            except httpcore2.ReadTimeout:
                request.check()
                if time.monotonic() >= silent_until:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Requests are a few hundred bytes, which the system accepts without a wait.
        request = _request()
        self._stream.write(buffer, timeout if request is None else request.at_most(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _open_limited(
            lambda seconds: self._stream.start_tls(ssl_context, server_hostname, seconds), timeout
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _LimitedBackend(httpcore2.SyncBackend):
    """Opens connections that obey the limits of their request."""

    def __init__(self, may_connect: Callable[[str], bool] | None) -> None:
        self._may_connect = may_connect

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        connect = partial(
            super().connect_tcp,
            port=port,
            local_address=local_address,
            socket_options=socket_options,
        )

        def open_stream(seconds: float | None) -> httpcore2.NetworkStream:
            if self._may_connect is None:
                return connect(host, timeout=seconds)
            addresses = _checked_addresses(host, port, self._may_connect)
            # One that does not respond must leave time for the next.
            each = None if seconds is None else seconds / len(addresses)
            return _first_connected(lambda address: connect(address, timeout=each), addresses)

        return _open_limited(open_stream, timeout)


def _checked_addresses(host: str, port: int, may_connect: Callable[[str], bool]) -> Sequence[str]:
    """The addresses of a host, each once; the connection goes to these, without another lookup.

    Raises:
        AddressRefused: If one of them may not be connected to.
        httpcore2.ConnectError: If the name cannot be looked up.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError("the name cannot be looked up") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not addresses or not all(map(may_connect, addresses)):
        raise AddressRefused
    return addresses


def _first_connected(
    connect: Callable[[str], httpcore2.NetworkStream], addresses: Sequence[str]
) -> httpcore2.NetworkStream:
    *others, last = addresses
    for address in others:
        with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
            return connect(address)
    return connect(last)


def _open_limited(
    open_stream: Callable[[float | None], httpcore2.NetworkStream], timeout: float | None
) -> httpcore2.NetworkStream:
    """The opened stream, with limits; stops waiting for it as soon as a limit passes.

    A name lookup cannot be interrupted, nor can a handshake. So a thread does it. That thread ends
    with the timeout of the connection or the resolver, and closes a stream that comes too late.
    """
    request = _request()
    if request is None:
        return _LimitedStream(open_stream(timeout))
    seconds = request.at_most(timeout)
    opening: Future[httpcore2.NetworkStream] = Future()

    def work() -> None:
        try:
            stream = open_stream(seconds)
        except BaseException as error:  # noqa: BLE001 - handed on to the waiting thread
            opening.set_exception(error)
        else:
            opening.set_result(stream)

    threading.Thread(target=work, name="connect", daemon=True).start()
    try:
        return _LimitedStream(_result(opening, request))
    except BaseException:
        opening.add_done_callback(_close_stream)
        raise


def _result(
    opening: "Future[httpcore2.NetworkStream]", request: _Request
) -> httpcore2.NetworkStream:
    while not wait([opening], timeout=request.at_most(POLL_SECONDS)).done:
        request.check()
    return opening.result(timeout=0)


def _close_stream(opening: "Future[httpcore2.NetworkStream]") -> None:
    if opening.exception() is None:
        opening.result(timeout=0).close()
