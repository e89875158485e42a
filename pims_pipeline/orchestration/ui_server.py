"""Serves the Dagster UI behind a guard.

``dagster-webserver`` has no guard, and any web page on this machine can reach a port on loopback.
So this module serves the UI's ASGI application inside the guard of ``local_trust``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from pims_pipeline.orchestration._dagster_private import ui_application

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_SECONDS = 3600
_POOL_OVERFLOW = 20
_GRACE_SECONDS = 5


def serve_ui(
    workspace: Path, host: str, port: int, guarded: Callable[["ASGIApp"], "ASGIApp"]
) -> None:
    """Serve the Dagster UI of the instance in ``DAGSTER_HOME`` until SIGINT or SIGTERM.

    Args:
        workspace: The file that names the code location; see ``services``.
        host: The address to listen at.
        port: The port to listen at.
        guarded: Wraps an application in the guard.
    """
    import uvicorn  # noqa: PLC0415 - other processes import this module without serving

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
