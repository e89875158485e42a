"""What a route can ask for: ``def route(context: Context, desk: Desk)``.

Each is a part of the application's ``ApiServices``. Who calls, and the way to the clinic's rows,
come from ``auth``. No dependency holds a connection: a route opens a transaction where it reads
or writes, so that none is held while a request waits.
"""

from typing import Annotated

from fastapi import Depends, Request

from pims_pipeline.api.access.rate_limit import Limits
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.readiness import Readiness
from pims_pipeline.api.monitoring.scrapes import Scrapes
from pims_pipeline.api.services import SyncDesk, services_of

# Coroutines, so that no thread is borrowed to look at an attribute.


async def api_context(request: Request) -> ApiContext:
    """The engine, the Dagster client, the clock and the settings of the API."""
    return services_of(request.app).context


async def rate_limits(request: Request) -> Limits:
    """How often keys may be used and guessed at."""
    return services_of(request.app).limits


async def sync_desk(request: Request) -> SyncDesk:
    """Starts syncs and shows how they stand."""
    return services_of(request.app).desk


async def readiness_checks(request: Request) -> Readiness:
    """Checks whether the API can serve."""
    return services_of(request.app).readiness


async def metric_scrapes(request: Request) -> Scrapes:
    """Reads and counts what Prometheus is shown."""
    return services_of(request.app).scrapes


Context = Annotated[ApiContext, Depends(api_context)]
RateLimits = Annotated[Limits, Depends(rate_limits)]
Desk = Annotated[SyncDesk, Depends(sync_desk)]
ReadinessChecks = Annotated[Readiness, Depends(readiness_checks)]
MetricScrapes = Annotated[Scrapes, Depends(metric_scrapes)]
