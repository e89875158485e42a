"""Serves the Dagster UI behind a guard, with Dagster's daemon in threads beside it.

``dagster-webserver`` has no guard, and any web page on this machine can reach a port on loopback.
So this module serves the UI's ASGI application inside the guard of ``local_trust``. UI and daemon
share a process, because each alone would take over 100 MB, most of it for the same modules
(docs/decisions/0027-ui-and-daemon-in-one-process.md).
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagster import DagsterInstance

from pims_pipeline.orchestration._dagster_private import (
    DaemonThreads,
    daemon_threads,
    ping_code_server,
    ui_application,
    watch_code_server_every,
)
from pims_pipeline.orchestration.partitions import register_clinics

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_SECONDS = 3600
_POOL_OVERFLOW = 20
_GRACE_SECONDS = 5
_START_SECONDS = 120
_START_INTERVAL_SECONDS = 0.2
CHECK_SECONDS = 10.0
"""How often the daemon's threads and the code server are checked."""
WATCH_SECONDS = 5.0
"""How often UI and daemon each ask whether the code server is another one by now."""


class CodeServer(NamedTuple):
    """The code server of the workspace.

    Attributes:
        socket: The Unix socket at which it listens.
        asked: A file that is touched at each check.
        seen: A file that is touched whenever it responds to a check.
    """

    socket: Path
    asked: Path
    seen: Path

    def responds(self) -> bool:
        """Whether it responds."""
        self.asked.touch()
        if not self.socket.exists():
            return False
        try:
            ping_code_server(self.socket)
        except Exception:  # noqa: BLE001 - any error means that it is not up
            return False
        self.seen.touch()
        return True

    def wait_until_up(self) -> None:
        """Wait until it responds, once after the start.

        Raises:
            TimeoutError: If it does not in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self.responds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the code server did not respond within {_START_SECONDS} s")
            time.sleep(_START_INTERVAL_SECONDS)


def prepare_instance(clinics: Sequence[str]) -> None:
    """Create Dagster's tables, and the clinics' partitions in this order.

    Call it once, before another process opens the instance of ``DAGSTER_HOME``.
    """
    with DagsterInstance.get() as instance:
        register_clinics(instance, clinics)


def serve_ui(
    workspace: Path,
    code_server: CodeServer,
    host: str,
    port: int,
    guarded: Callable[["ASGIApp"], "ASGIApp"],
) -> None:
    """Serve the Dagster UI, and run the daemon, until SIGINT or SIGTERM.

    Args:
        workspace: The file that names the code server; see ``services``.
        code_server: The code server, which may still be starting.
        host: The address to listen at.
        port: The port to listen at.
        guarded: Wraps an application in the guard.
    """
    code_server.wait_until_up()
    watch_code_server_every(WATCH_SECONDS)
    # An instance each: only the UI's statements have a time limit.
    with (
        DagsterInstance.get() as daemons,
        daemon_threads(daemons, workspace) as threads,
        ui_server(workspace, host, port, guarded) as server,
        _checks(threads, code_server, server),
    ):
        server.run()
    if not server.started:
        sys.exit(1)


@contextmanager
def ui_server(
    workspace: Path, host: str, port: int, guarded: Callable[["ASGIApp"], "ASGIApp"]
) -> Iterator["uvicorn.Server"]:
    """The server of the Dagster UI, not running yet; see ``serve_ui`` for the arguments."""
    import uvicorn  # noqa: PLC0415 - other processes import this module without serving

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(
            _STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW
        )
        with ui_application(instance, workspace) as application:
            config = uvicorn.Config(
                guarded(application),
                host=host,
                port=port,
                log_level="warning",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            yield uvicorn.Server(config)


@contextmanager
def _checks(
    threads: DaemonThreads, code_server: CodeServer, server: "uvicorn.Server"
) -> Iterator[None]:
    """Check daemon and code server during the block; a dead thread of the daemon ends the server.

    Raises:
        RuntimeError: If a thread of the daemon ended.
    """
    over, failed = threading.Event(), threading.Event()

    def check() -> None:
        while not over.wait(CHECK_SECONDS):
            if not threads.all_alive():
                failed.set()
                server.should_exit = True
                return
            code_server.responds()

    checking = threading.Thread(target=check, name="pims-checks", daemon=True)
    checking.start()
    try:
        yield
    finally:
        over.set()
    if failed.is_set():
        raise RuntimeError("a thread of Dagster's daemon ended; its error is above")
