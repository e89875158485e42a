"""What one application keeps for as long as it is served; made once, by ``create_app``.

Everything that outlives a request is a field here, and nothing else is kept anywhere: add a
field when routes of several requests share something. How a route is given it is said in
``dependencies``.
"""

from dataclasses import dataclass

from fastapi import FastAPI

from pims_pipeline.api.access.rate_limit import Limits
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.readiness import Readiness
from pims_pipeline.api.monitoring.scrapes import Scrapes
from pims_pipeline.api.syncs.launching import SyncLauncher
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.api.syncs.watcher import SyncWatcher


@dataclass(frozen=True, slots=True)
class SyncDesk:
    """Where requests for syncs are taken.

    Attributes:
        context: The application's.
        launcher: Starts syncs.
        watcher: Shows how they stand. Waits in the same few places as the launcher.
    """

    context: ApiContext
    launcher: SyncLauncher
    watcher: SyncWatcher


@dataclass(frozen=True, slots=True)
class ApiServices:
    """See the module.

    Attributes:
        context: What the application was made with.
        limits: How often keys may be used and guessed at.
        desk: Starts syncs and shows how they stand.
        readiness: Checks what ``/ready`` reports.
        scrapes: Reads and counts what ``/metrics`` reports.
    """

    context: ApiContext
    limits: Limits
    desk: SyncDesk
    readiness: Readiness
    scrapes: Scrapes


def build_services(context: ApiContext) -> ApiServices:
    """The services of one application; connects to nothing yet."""
    room = WaitingRoom(context.stopping)
    return ApiServices(
        context=context,
        limits=Limits(context.requests_per_minute, context.clock),
        desk=SyncDesk(context, SyncLauncher(context, room), SyncWatcher(context, room)),
        readiness=Readiness(context),
        scrapes=Scrapes(context),
    )


def provide_services(app: FastAPI, services: ApiServices) -> None:
    """Let the routes of ``app`` be given ``services``: the one thing in its ``state``."""
    app.state.services = services


def services_of(app: FastAPI) -> ApiServices:
    """What ``provide_services`` put there."""
    services: ApiServices = app.state.services
    return services
