"""Dagster's webserver in a process of ours, and the code server that it asks.

``dagster-webserver`` listens on a port of its own and knows no guard, and a port on loopback is
open to every web page of this machine. So its ASGI application is served here, inside the
guard, and nothing listens beside it. What the guard refuses stands in ``local_trust``.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from pims_pipeline.dagster_names import DEFINITIONS_ATTRIBUTE, DEFINITIONS_MODULE, LOCATION
from pims_pipeline.orchestration._dagster_private import (
    DAEMON_MODULE,
    ping_code_server,
    ui_application,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_SECONDS = 3600
_POOL_OVERFLOW = 20
_GRACE_SECONDS = 5


def serve_ui(
    workspace: Path, host: str, port: int, guarded: Callable[["ASGIApp"], "ASGIApp"]
) -> None:
    """Serve the Dagster UI in front until SIGINT or SIGTERM.

    The instance is that of ``DAGSTER_HOME``.

    Args:
        workspace: The file that names the code location; see ``write_workspace``.
        host: Where to listen.
        port: As above.
        guarded: Puts the guard around an application.
    """
    import uvicorn  # noqa: PLC0415 - other processes need the rest of this module alone

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(
            _STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW
        )
        with ui_application(instance, workspace) as application:
            uvicorn.run(
                guarded(application),
                host=host,
                port=port,
                log_level="warning",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )


def code_server_command(socket: Path) -> list[str]:
    """The program that loads our code location once, for the webserver and the daemon alike.

    Runs are its children. It answers at a Unix socket, which no web page can reach.
    """
    return [
        sys.executable,
        *("-m", "dagster", "api", "grpc"),
        *("--socket", str(socket)),
        *("--module-name", DEFINITIONS_MODULE),
        *("--attribute", DEFINITIONS_ATTRIBUTE),
        *("--location-name", LOCATION),
        "--use-python-environment-entry-point",
    ]


def daemon_command(workspace: Path) -> list[str]:
    """The program that runs sensors, schedules and the queue of runs.

    Args:
        workspace: The file that names the code location; see ``write_workspace``.
    """
    return [sys.executable, "-m", DAEMON_MODULE, "run", "-w", str(workspace)]


def code_server_answers(socket: Path) -> bool:
    """Whether the code server has come up."""
    if not socket.exists():
        return False
    try:
        ping_code_server(socket)
    except Exception:  # noqa: BLE001 - whatever it is, the server does not answer yet
        return False
    return True


def write_workspace(directory: Path, socket: Path) -> Path:
    """Write the file that names the code server to the webserver and the daemon."""
    file = directory / "workspace.yaml"
    file.write_text(
        f'load_from:\n  - grpc_server:\n      socket: "{socket}"\n      location_name: {LOCATION}\n'
    )
    return file
