"""The dependencies of routes: ``def route(context: Context, syncs: Syncs)``.

Each is a part of the application's ``ApiServices``. The caller and its clinic's transaction come
from ``auth``. No dependency holds a connection: a route opens a transaction where it reads or
writes, so that none is open while a request waits.
"""

from typing import Annotated

from fastapi import Depends, Request

from pims_pipeline.api.access.rate_limit import Limits
from pims_pipeline.api.changes import ChangeFeed
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.readiness import Readiness
from pims_pipeline.api.monitoring.scrapes import Scrapes
from pims_pipeline.api.services import SyncServices, services_of

# Coroutines: FastAPI would run functions in a thread.


async def api_context(request: Request) -> ApiContext:
    """The engine, the Dagster client, the clock and the settings of the API."""
    return services_of(request.app).context


async def rate_limits(request: Request) -> Limits:
    """The rate limits of keys and of failed attempts."""
    return services_of(request.app).limits


async def sync_services(request: Request) -> SyncServices:
    """Starts syncs and reports their status."""
    return services_of(request.app).syncs


async def change_feed(request: Request) -> ChangeFeed:
    """Reads change feeds."""
    return services_of(request.app).changes


async def readiness_checks(request: Request) -> Readiness:
    """Checks whether the API can serve."""
    return services_of(request.app).readiness


async def metric_scrapes(request: Request) -> Scrapes:
    """Reads the metrics for Prometheus."""
    return services_of(request.app).scrapes


Context = Annotated[ApiContext, Depends(api_context)]
RateLimits = Annotated[Limits, Depends(rate_limits)]
Syncs = Annotated[SyncServices, Depends(sync_services)]
Changes = Annotated[ChangeFeed, Depends(change_feed)]
ReadinessChecks = Annotated[Readiness, Depends(readiness_checks)]
MetricScrapes = Annotated[Scrapes, Depends(metric_scrapes)]
