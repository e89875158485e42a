"""The console as an application, and where it is mounted. Opens nothing and reads no settings."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse

from pims_pipeline.console.access.peers import PeerNote
from pims_pipeline.console.context import ConsoleContext
from pims_pipeline.console.errors import PageBoundary, handle_errors
from pims_pipeline.console.headers import PageHeaders
from pims_pipeline.console.routes import (
    cases,
    clinics,
    failures,
    holds,
    overview,
    provenance,
    schedules,
    search,
    sign_in,
    static_files,
    syncs,
)
from pims_pipeline.domain.console.links import CONSOLE_PATH


def create_console(context: ConsoleContext) -> FastAPI:
    """Build the console.

    Args:
        context: What its pages use; must stay open as long as it is served.
    """
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.console = context
    handle_errors(app)
    pages = (overview, clinics, cases, provenance, search, holds, failures, schedules, syncs)
    for routes in (static_files, sign_in, *pages):
        app.include_router(routes.router)
    app.add_middleware(PageBoundary)
    app.add_middleware(PageHeaders)
    return app


def mount_console(app: FastAPI, context: ConsoleContext) -> None:
    """Serve the console at ``/console`` of an application, inside its middleware.

    Args:
        app: The API; limits bodies and checks hosts.
        context: See ``create_console``.
    """
    app.add_route(CONSOLE_PATH, _to_the_overview, include_in_schema=False)
    app.mount(CONSOLE_PATH, create_console(context), name="console")
    # The outermost layer: before a proxy's header replaces the client's address.
    app.add_middleware(PeerNote)


async def _to_the_overview(request: Request) -> RedirectResponse:
    """People leave out the slash at the end."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{CONSOLE_PATH}/", 308)
