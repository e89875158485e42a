"""Serves the simulator over HTTP: in a background thread for tests, or in the foreground.

The application itself is built in ``app``.
"""

import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from pims_pipeline.simulator.app import build_app
from pims_pipeline.simulator.practice.clinics import (
    DEFAULT_CLINICS,
    SimulatedClinic,
    SimulatorConfig,
)
from pims_pipeline.simulator.state import Simulator

__all__ = [
    "DEFAULT_CLINICS",
    "PortInUse",
    "SimulatedClinic",
    "SimulatorConfig",
    "SimulatorServer",
    "serve",
]

_THREAD_TIMEOUT_S = 15.0


class PortInUse(OSError):
    """Another process listens on the simulator's port; the message says what to do."""


class _Server(uvicorn.Server):
    """uvicorn that reports when it is up, and ends delayed responses when it stops."""

    def __init__(self, app: FastAPI, on_ready: Callable[[], None]) -> None:
        # No logging of its own: the simulator runs inside other programs, whose logging
        # configuration uvicorn would otherwise replace.
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                timeout_graceful_shutdown=2,
                server_header=False,
            )
        )
        self._simulator: Simulator = app.state.simulator
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._simulator.stopping.set()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                errno.EADDRINUSE,
                f"port {port} on {host} is in use: stop what listens there, or choose another "
                "port (0 takes any free one)",
            ) from error
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class SimulatorServer:
    """A simulator in a background thread of this process.

    A context manager; or call ``start`` and ``stop``. Port 0 takes any free port. A stopped
    server can be started again, with a fresh calendar.
    """

    def __init__(
        self, config: SimulatorConfig | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.config = config or SimulatorConfig()
        self._host = host
        self._port = port
        self._base_url: str | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address that it serves, without a trailing slash.

        Raises:
            RuntimeError: If it is not running.
        """
        if self._base_url is None:
            raise RuntimeError("the simulator is not running: call start() first")
        return self._base_url

    def start(self) -> Self:
        """Serve; return as soon as it accepts requests.

        Raises:
            PortInUse: If another process listens there.
            RuntimeError: If it runs already, or did not start in time.
        """
        if self._thread is not None:
            raise RuntimeError("the simulator is running already")
        up = threading.Event()
        app = build_app(self.config)
        listener = _listen(self._host, self._port)
        server = _Server(app, up.set)

        def run() -> None:
            try:
                server.run([listener])
            finally:
                listener.close()
                up.set()

        thread = threading.Thread(target=run, name="neo-simulator", daemon=True)
        thread.start()
        if not up.wait(_THREAD_TIMEOUT_S) or not server.started:
            server.should_exit = True
            raise RuntimeError(f"the simulator did not start within {_THREAD_TIMEOUT_S:g} s")
        self._base_url, self._server, self._thread = _url(listener), server, thread
        return self

    def stop(self) -> None:
        """Stop serving; returns once the thread has ended. Stopping twice is harmless.

        Raises:
            RuntimeError: If it does not stop.
        """
        if self._thread is None or self._server is None:
            return
        self._server.should_exit = True
        self._thread.join(_THREAD_TIMEOUT_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the simulator did not stop within {_THREAD_TIMEOUT_S:g} s")
        self._base_url = self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def serve(
    config: SimulatorConfig | None = None,
    host: str = "127.0.0.1",
    port: int = 8400,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve in the foreground until Ctrl-C, then return.

    Args:
        config: How it behaves.
        host: The address to listen on.
        port: 0 takes any free one.
        on_ready: Called with the base URL as soon as it accepts requests.

    Raises:
        PortInUse: If another process listens there.
    """
    app = build_app(config or SimulatorConfig())
    listener = _listen(host, port)
    url = _url(listener)
    server = _Server(app, lambda: on_ready(url) if on_ready else None)
    # uvicorn closes down in order on Ctrl-C and then raises the signal once more.
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run([listener])
