"""Serves the application over HTTP with uvicorn: in the foreground, or in a thread for tests.

Building the application belongs in ``app``, opening the database and reading settings in the
command line.
"""

import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pims_pipeline.api.changes import MOST_READERS
from pims_pipeline.api.services import services_of
from pims_pipeline.api.syncs.waiting import MOST_WAITERS
from pims_pipeline.domain.errors import UserFacingError

GRACE_SECONDS = 30
"""How long active requests may take once the process shuts down."""
THREADS = MOST_WAITERS + MOST_READERS + 40
"""Requests that are served at once; those that do not wait keep the framework's forty."""
_BACKLOG = 2048
_MAX_HEAD_BYTES = 64 * 1024
_START_SECONDS = 15


class CannotListen(UserFacingError):
    """The address or port cannot be used; the message says why."""


class _BoundedProtocol(HttpToolsProtocol):
    """Limits the size of request headers: the parser buffers a header until it is complete."""

    _unparsed = 0

    def data_received(self, data: bytes) -> None:
        """See asyncio; closes the connection when the unparsed data exceeds the limit."""
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request headers are too large.")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._unparsed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._unparsed = 0
        super().on_message_complete()


class _Server(uvicorn.Server):
    """uvicorn with a callback when it is ready; ends waiting requests when it stops."""

    def __init__(self, app: FastAPI, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_BoundedProtocol,
                # Otherwise a request may log the context of another on the same connection.
                reset_contextvars=True,
                # Logging is set up already, and the middleware writes the access log.
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                # The application handles them, for the proxies that it trusts.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._stopping = services_of(app).context.stopping
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # The limiter is that of this thread's event loop.
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Runs within a tenth of a second of the signal. Not in the signal handler: it could
        # interrupt this line, and deadlock on the event's lock.
        self._stopping.set()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, before anything is started.

    Args:
        host: A name or address of this machine.
        port: 0 takes any free one.

    Raises:
        CannotListen: If the address or port cannot be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(f"--host {host} is not an address of this machine") from error
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    # Connections that just closed do not block the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise CannotListen(
            f"port {port} on {host} cannot be used ({reason}): stop what listens there, "
            "or choose another with --port"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address of the listener for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def serve(app: FastAPI, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; active requests may finish.

    A second SIGINT ends it at once.

    Args:
        app: The result of ``create_app``.
        listener: The result of ``listen``; closed at the end.
        on_ready: Called when the server accepts requests.

    Raises:
        KeyboardInterrupt: After it has stopped, if a signal stopped it.
    """
    # What is loaded by now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    with listener:
        _Server(app, on_ready).run([listener])


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The application while it is served.

    Attributes:
        base_url: Its address, without a trailing slash.
    """

    base_url: str
    _server: _Server

    def request_stop(self) -> None:
        """Request the shutdown, and return at once."""
        self._server.handle_exit(signal.SIGTERM, None)


@contextmanager
def running_api(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> Iterator[ApiServer]:
    """Serve in a background thread while the block runs.

    Active requests may finish at the end.

    Args:
        app: The result of ``create_app``.
        host: A name or address of this machine.
        port: 0 takes any free one.

    Raises:
        CannotListen: If it cannot listen there.
        RuntimeError: If it does not start or stop in time.
    """
    listener = listen(host, port)
    up = threading.Event()
    server = _Server(app, up.set)

    def run() -> None:
        try:
            with listener:
                server.run([listener])
        finally:
            up.set()

    thread = threading.Thread(target=run, name="pims-api", daemon=True)
    running = ApiServer(url_of(listener), server)
    thread.start()
    try:
        if not up.wait(_START_SECONDS) or not server.started:
            raise RuntimeError("the API did not start")
        yield running
    finally:
        running.request_stop()
        thread.join(GRACE_SECONDS + _START_SECONDS)
    if thread.is_alive():
        raise RuntimeError("the API did not stop")
