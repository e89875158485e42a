"""The Dagster UI and the daemon, each in a process of its own; and whether a part responds.

For containers, where an orchestrator starts, watches and restarts each part. On one machine, UI and
daemon share a process: see ``ui_server``. The commands are in ``cli.part``.
"""

import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_RESPONSE_SECONDS = 10.0
_HTTP_OK = 200
_BEAT_SECONDS = 60.0
"""The oldest beat of a daemon that lives; it makes one every ten seconds."""
_CODE_SERVICE = "DagsterApi"


class DaemonStopped(RuntimeError):
    """A thread of Dagster's daemon ended; its error is in the log."""


def serve_ui_alone(
    workspace: Path, host: str, port: int, guarded: Callable[["ASGIApp"], "ASGIApp"]
) -> None:
    """Serve the Dagster UI until SIGINT or SIGTERM; the code server may start later.

    Args:
        workspace: The file that names the code server.
        host: The address to listen at.
        port: The port to listen at.
        guarded: Wraps an application in the guard.
    """
    from pims_pipeline.orchestration._dagster_private import (  # noqa: PLC0415 - costs seconds
        watch_code_server_every,
    )
    from pims_pipeline.orchestration.ui_server import (  # noqa: PLC0415 - as above
        WATCH_SECONDS,
        ui_server,
    )

    watch_code_server_every(WATCH_SECONDS)
    with ui_server(workspace, host, port, guarded) as server:
        server.run()
    if not server.started:
        sys.exit(1)


def run_daemon_alone(workspace: Path, beat: Path) -> None:
    """Run Dagster's daemon until a ``KeyboardInterrupt``.

    Args:
        workspace: The file that names the code server.
        beat: A file that is touched as long as all threads of the daemon live.

    Raises:
        DaemonStopped: If one of them ended.
    """
    from dagster import DagsterInstance  # noqa: PLC0415 - costs seconds

    from pims_pipeline.orchestration._dagster_private import (  # noqa: PLC0415 - as above
        daemon_threads,
        watch_code_server_every,
    )
    from pims_pipeline.orchestration.ui_server import (  # noqa: PLC0415 - as above
        CHECK_SECONDS,
        WATCH_SECONDS,
    )

    watch_code_server_every(WATCH_SECONDS)
    # That of an earlier daemon would vouch for this one.
    beat.unlink(missing_ok=True)
    never = threading.Event()
    with DagsterInstance.get() as instance, daemon_threads(instance, workspace) as threads:
        while threads.all_alive():
            beat.touch()
            never.wait(CHECK_SECONDS)
    raise DaemonStopped("a thread of Dagster's daemon ended; its error is above")


def code_server_responds(port: int) -> bool:
    """Whether the code server at a port of this machine has loaded our definitions."""
    # Dagster's own check takes seconds, because it imports Dagster.
    import grpc  # type: ignore[import-untyped] # noqa: PLC0415 - for this check alone
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # noqa: PLC0415 - as above

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        asked = health_pb2.HealthCheckRequest(service=_CODE_SERVICE)
        try:
            found = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=_RESPONSE_SECONDS)
        except grpc.RpcError:
            return False
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)


def web_server_responds(port: int, path: str) -> bool:
    """Whether the web server at a port of this machine responds to GET ``path`` with 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_RESPONSE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == _HTTP_OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def daemon_beat(home: Path) -> Path:
    """The file that the daemon touches, in the program's home directory."""
    return home / "daemon-alive"


def daemon_is_alive(beat: Path) -> bool:
    """Whether the daemon has touched its file within a minute."""
    try:
        return time.time() - beat.stat().st_mtime < _BEAT_SECONDS
    except FileNotFoundError:
        return False
