"""The objects that one application keeps while it is served; ``create_app`` builds them once.

Everything that outlives a request is a field here: add one when several requests share an
object, and its dependency in ``dependencies``.
"""

from dataclasses import dataclass

from fastapi import FastAPI

from pims_pipeline.api.access.rate_limit import Limits
from pims_pipeline.api.changes import MOST_READERS, MOST_READERS_EACH, ChangeFeed
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.readiness import Readiness
from pims_pipeline.api.monitoring.scrapes import Scrapes
from pims_pipeline.api.syncs.launching import SyncLauncher
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.api.syncs.watcher import SyncWatcher


@dataclass(frozen=True, slots=True)
class SyncServices:
    """Starts syncs and reports their status.

    Attributes:
        context: The application's.
        launcher: Starts syncs.
        watcher: Reports their status. Shares its waiting slots with the launcher.
    """

    context: ApiContext
    launcher: SyncLauncher
    watcher: SyncWatcher


@dataclass(frozen=True, slots=True)
class ApiServices:
    """All objects of one application.

    Attributes:
        context: What the application was built with.
        limits: The rate limits of keys and of failed attempts.
        syncs: Starts syncs and reports their status.
        changes: Reads change feeds.
        readiness: The checks of ``/ready``.
        scrapes: The metrics of ``/metrics``.
    """

    context: ApiContext
    limits: Limits
    syncs: SyncServices
    changes: ChangeFeed
    readiness: Readiness
    scrapes: Scrapes


def build_services(context: ApiContext) -> ApiServices:
    """Build the services of one application; opens no connection."""
    room = WaitingRoom(context.stopping)
    return ApiServices(
        context=context,
        limits=Limits(context.requests_per_minute, context.clock),
        syncs=SyncServices(context, SyncLauncher(context, room), SyncWatcher(context, room)),
        changes=ChangeFeed(WaitingRoom(context.stopping, MOST_READERS, MOST_READERS_EACH)),
        readiness=Readiness(context),
        scrapes=Scrapes(context),
    )


def provide_services(app: FastAPI, services: ApiServices) -> None:
    """Store ``services`` in the state of ``app``, where the dependencies find them."""
    app.state.services = services


def services_of(app: FastAPI) -> ApiServices:
    """Return what ``provide_services`` stored."""
    services: ApiServices = app.state.services
    return services
