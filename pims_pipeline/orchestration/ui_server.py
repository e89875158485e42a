"""Dagster's webserver in a process of ours.

``dagster-webserver`` listens on a port of its own and knows no guard, and a port on loopback is
open to every web page of this machine. So its ASGI application is served here, inside the
guard, and nothing listens beside it. What the guard refuses stands in ``local_trust``.
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
    """Serve the Dagster UI in front until SIGINT or SIGTERM.

    The instance is that of ``DAGSTER_HOME``.

    Args:
        workspace: The file that names the code location; see ``services``.
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
