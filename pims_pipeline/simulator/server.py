"""Serves the simulator over HTTP: in a background thread for tests, or in the foreground.

The application itself is built in ``app``.
"""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

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
    "running_simulator",
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


@dataclass(frozen=True, slots=True)
class SimulatorServer:
    """A simulator that is running.

    Attributes:
        base_url: The address that it serves, without a trailing slash.
    """

    config: SimulatorConfig
    base_url: str


@contextmanager
def running_simulator(
    config: SimulatorConfig | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[SimulatorServer]:
    """A simulator in a background thread of this process, for as long as the block runs.

    Args:
        config: How it behaves.
        host: The address to listen on.
        port: 0 takes any free one.

    Raises:
        PortInUse: If another process listens there.
        RuntimeError: If it does not start, or does not stop.
    """
    config = config or SimulatorConfig()
    app = build_app(config)
    listener = _listen(host, port)
    up = threading.Event()
    server = _Server(app, up.set)

    def run() -> None:
        try:
            with closing(listener):
                server.run([listener])
        finally:
            up.set()

    thread = threading.Thread(target=run, name="neo-simulator", daemon=True)
    thread.start()
    try:
        if not up.wait(_THREAD_TIMEOUT_S) or not server.started:
            raise RuntimeError(f"the simulator did not start within {_THREAD_TIMEOUT_S:g} s")
        yield SimulatorServer(config, _url(listener))
    finally:
        server.should_exit = True
        thread.join(_THREAD_TIMEOUT_S)
    if thread.is_alive():
        raise RuntimeError(f"the simulator did not stop within {_THREAD_TIMEOUT_S:g} s")


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
    with closing(listener), suppress(KeyboardInterrupt):
        server.run([listener])
