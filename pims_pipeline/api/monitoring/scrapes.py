"""The metrics for Prometheus, read from the store and from Dagster at each scrape.

The route and its access check are in ``routes.metrics``, names and labels in
``observability.metrics``, the queries over all clinics in ``store.queries.metrics``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from fastapi.concurrency import run_in_threadpool

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.dagster_state import DagsterState
from pims_pipeline.api.monitoring.probes import Probe, Result
from pims_pipeline.observability.metrics import (
    ClinicReading,
    Metrics,
    Reading,
    RequestMetrics,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.metrics import (
    ENDS,
    EndedSyncs,
    adoption_differences,
    clinic_readings,
    open_alerts,
)

_STORE_SECONDS = 8
"""Less than the default timeout of Prometheus, ten seconds."""


class Scrapes:
    """The metrics of one application."""

    def __init__(self, context: ApiContext) -> None:
        """Count the syncs that end from now on; reads nothing yet."""
        self._context = context
        self._metrics = Metrics(ends=ENDS)
        self._ended = EndedSyncs(context.clock())
        # One read at a time, so that two scrapes at once count no sync twice.
        self._store = Probe("metrics of the database", self._read_store, seconds=_STORE_SECONDS)
        self._dagster = Probe("metrics of Dagster", context.dagster.state)

    @property
    def requests(self) -> RequestMetrics:
        """The metrics of requests; ``observe`` each response."""
        return self._metrics.requests

    async def render(self) -> bytes:
        """Return the text of a scrape; takes eight seconds at most."""
        dagster = _result(self._dagster)
        pending = asyncio.create_task(dagster)
        clinics, alerts, differences = await _result(self._store) or (None, None, {})
        state = await pending
        now = self._context.clock()
        reading = Reading(
            clinics=clinics,
            open_alerts=alerts,
            runs=_by_state(state),
            daemon_ages={} if state is None else _ages(state, now),
            adoption_differences=differences,
        )
        return await run_in_threadpool(self._metrics.render, reading)

    def _read_store(
        self,
    ) -> tuple[Sequence[ClinicReading], Mapping[str, int], Mapping[str, int]]:
        with transaction(self._context.engine) as connection:
            ended = self._ended.new(connection, self._context.clock())
            for each in ended:
                self._metrics.syncs.count(each.slug, each.phase, each.status, each.seconds)
            return (
                clinic_readings(connection),
                open_alerts(connection),
                adoption_differences(connection),
            )


async def _result(probe: Probe[Result]) -> Result | None:
    try:
        return await probe.latest()
    except Exception:  # noqa: BLE001 - pims_scrape_success reports the failure
        return None


def _by_state(state: DagsterState | None) -> dict[str, int] | None:
    return None if state is None else {"queued": state.queued, "running": state.running}


def _ages(state: DagsterState, now: datetime) -> dict[str, float]:
    """Seconds since the daemon's heartbeat, and since alerts were last evaluated."""
    times = {"heartbeat": state.daemon_seen_at, "alerts": state.alerts_evaluated_at}
    # The clock of the daemon's machine may be ahead.
    return {
        name: max(0.0, now.timestamp() - time) for name, time in times.items() if time is not None
    }
