"""The checks of ``/ready`` and ``/health``: the database, its tables, Dagster.

Add a check here. Timeouts and caching belong in ``probes``, the route in ``routes.health``.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterRefused, DagsterUnreachable
from pims_pipeline.api.monitoring.probes import KEPT_SECONDS, PROBE_SECONDS, Probe
from pims_pipeline.store.database.engine import without_pool
from pims_pipeline.store.database.errors import DatabaseRefused, DatabaseUnavailable
from pims_pipeline.store.database.revision import DatabaseNotMigrated, check_migrated
from pims_pipeline.store.database.tenancy import WrongApiRole, check_api_role
from pims_pipeline.wire.health import Check, HealthCheck, Ready

DETAILS: Mapping[type[Exception], str] = MappingProxyType(
    {
        TimeoutError: f"no response within {PROBE_SECONDS} seconds",
        DatabaseUnavailable: "cannot reach the database",
        WrongApiRole: "the API's login has other rights than it should; see the log",
        DatabaseNotMigrated: "the tables are not this program's; run `pims migrate`",
        DagsterUnreachable: "cannot reach Dagster",
        DagsterRefused: "Dagster has not loaded the pipeline",
    }
)
"""The detail of a failed check, by the type of its error."""
_UNKNOWN = "it fails; see the log"
_STOPPING = "the process is ending"
_GLANCE_KEPT_SECONDS = 10
"""How old a result may be in ``/health``, which is called often and decides nothing by it."""
_GLANCE_SECONDS = 0.5
"""How long ``/health`` waits for the checks: less than the timeout of any liveness probe."""


class Readiness:
    """The checks of one application; each runs at most once a second."""

    def __init__(self, context: ApiContext) -> None:
        """Create the checks; runs none yet."""
        self._began = time.monotonic()
        self._stopping = context.stopping
        self._probes = {
            # A new connection: those of the pool may work long after new ones are refused.
            "database": Probe("database", partial(check_api_role, without_pool(context.engine))),
            "migrations": Probe("migrations", partial(check_migrated, context.engine)),
            "dagster": Probe("dagster", context.dagster.check),
        }

    async def check(self) -> Ready:
        """Run all checks; takes three seconds at most."""
        found = await asyncio.gather(*map(_check, self._probes.values()))
        checks = dict(zip(self._probes, found, strict=True))
        if self._stopping.is_set():
            checks["process"] = Check(status="failed", detail=_STOPPING)
        return Ready(ready=all(each.status == "ok" for each in checks.values()), checks=checks)

    async def glance(self) -> list[HealthCheck]:
        """Report the checks that respond within half a second, and the others as unknown."""
        return await asyncio.gather(*(_glanced(*each) for each in self._probes.items()))

    @property
    def uptime_seconds(self) -> int:
        """Whole seconds since the application was built."""
        return int(time.monotonic() - self._began)


async def _glanced(name: str, probe: Probe[None]) -> HealthCheck:
    try:
        found = await asyncio.wait_for(_check(probe, _GLANCE_KEPT_SECONDS), _GLANCE_SECONDS)
    except TimeoutError:
        # The check itself goes on, for the next caller.
        return HealthCheck(name=name, status="unknown")
    return HealthCheck(name=name, status=found.status, detail=found.detail)


async def _check(probe: Probe[None], kept_seconds: float = KEPT_SECONDS) -> Check:
    try:
        await probe.latest(kept_seconds=kept_seconds)
    except Exception as error:  # noqa: BLE001 - any error fails the check
        return Check(status="failed", detail=_detail(error))
    return Check(status="ok")


def _detail(error: Exception) -> str:
    if isinstance(error, DatabaseRefused):
        return error.what
    return next((detail for kind, detail in DETAILS.items() if isinstance(error, kind)), _UNKNOWN)
