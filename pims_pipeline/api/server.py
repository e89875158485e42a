"""Serves the application over HTTP with uvicorn: in front for people, or in a thread for tests.

What is served is put together in ``app``; who opens the database and reads settings is the
command line.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pims_pipeline.api.services import services_of
from pims_pipeline.domain.errors import UserFacingError

GRACE_SECONDS = 30
"""How long requests under way may take once the process was told to end."""
_BACKLOG = 2048
_MAX_HEAD_BYTES = 64 * 1024
_START_SECONDS = 15


class CannotListen(UserFacingError):
    """The address or port cannot be used; the message says why."""


class _BoundedProtocol(HttpToolsProtocol):
    """HTTP, for clients whose headers come to an end.

    The parser keeps a header until it is complete, however much of it is sent.
    """

    _not_understood = 0

    def data_received(self, data: bytes) -> None:
        """See asyncio; ends the connection when too much makes no sense yet."""
        self._not_understood += len(data)
        super().data_received(data)
        if self._not_understood > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request headers are too large.")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._not_understood = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._not_understood = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._not_understood = 0
        super().on_message_complete()


class _Server(uvicorn.Server):
    """uvicorn that tells when it is up, and lets waiting requests go when it stops."""

    def __init__(self, app: FastAPI, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_BoundedProtocol,
                # Else a request may log what was bound for another on its connection.
                reset_contextvars=True,
                # Logging is set up already, and the middleware writes the access log.
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                # The application does that itself, for the proxies it trusts.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._stopping = services_of(app).context.stopping
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Within a tenth of a second of the signal. Not in its handler: that may interrupt
        # this very line, and would wait for itself.
        self._stopping.set()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, before anything is started.

    Args:
        host: A name or address of this machine.
        port: 0 takes any free one.

    Raises:
        CannotListen: If it cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(f"--host {host} is no address of this machine") from error
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    # Connections that just ended do not count.
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
    """Where a browser on this machine finds what listens there."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def serve(app: FastAPI, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve in front until SIGINT or SIGTERM; requests under way may finish.

    A second SIGINT ends it at once.

    Args:
        app: As ``create_app`` makes it.
        listener: As ``listen`` gives it; closed at the end.
        on_ready: Called once requests are answered.

    Raises:
        KeyboardInterrupt: Once it has ended, if a signal made it.
    """
    with listener:
        _Server(app, on_ready).run([listener])


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The application while it is served.

    Attributes:
        base_url: Where it answers, without a trailing slash.
    """

    base_url: str
    _server: _Server

    def request_stop(self) -> None:
        """Begin to stop, and return at once."""
        self._server.handle_exit(signal.SIGTERM, None)


@contextmanager
def running_api(app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> Iterator[ApiServer]:
    """Serve in a background thread of this process for as long as the block runs.

    Requests under way may finish at the end.

    Args:
        app: As ``create_app`` makes it.
        host: A name or address of this machine.
        port: 0 takes any free one.

    Raises:
        CannotListen: If it cannot listen there.
        RuntimeError: If it does not come up, or does not stop.
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
            raise RuntimeError("the API did not come up")
        yield running
    finally:
        running.request_stop()
        thread.join(GRACE_SECONDS + _START_SECONDS)
    if thread.is_alive():
        raise RuntimeError("the API did not stop")
