"""What Prometheus is told, read from the store and from Dagster at each scrape.

The route, and who may read it, stand in ``metrics``; names and labels in
``observability/metrics.py``; what the store tells, and that the API's role may know it of all
clinics, in ``store/queries/metrics.py``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from fastapi.concurrency import run_in_threadpool

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.monitoring.dagster_state import DagsterState
from pims_pipeline.api.monitoring.probes import Answer, Probe
from pims_pipeline.observability.metrics import (
    ClinicReading,
    Metrics,
    Reading,
    RequestMetrics,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.metrics import ENDS, EndedSyncs, clinic_readings, open_alerts

_STORE_SECONDS = 8
"""Prometheus waits ten unless told otherwise."""


class Scrapes:
    """What one application tells Prometheus.

    Attributes:
        requests: To be told of every request.
    """

    def __init__(self, context: ApiContext) -> None:
        """Read nothing yet; syncs that end from now on will be counted."""
        self._context = context
        self._metrics = Metrics(ends=ENDS)
        self._ended = EndedSyncs(context.clock())
        # One question at a time, so that two scrapes at once count no sync twice.
        self._store = Probe("metrics of the database", self._read_store, seconds=_STORE_SECONDS)
        self._dagster = Probe("metrics of Dagster", context.dagster.state)

    @property
    def requests(self) -> RequestMetrics:
        """To be told of every request."""
        return self._metrics.requests

    async def render(self) -> bytes:
        """The text of a scrape; takes eight seconds at most."""
        dagster = _answer(self._dagster)
        asked = asyncio.create_task(dagster)
        clinics, alerts = await _answer(self._store) or (None, None)
        state = await asked
        now = self._context.clock()
        reading = Reading(
            clinics=clinics,
            open_alerts=alerts,
            runs=_by_state(state),
            daemon_ages={} if state is None else _ages(state, now),
        )
        return await run_in_threadpool(self._metrics.render, reading)

    def _read_store(self) -> tuple[Sequence[ClinicReading], Mapping[str, int]]:
        with transaction(self._context.engine) as connection:
            ended = self._ended.new(connection, self._context.clock())
            for each in ended:
                self._metrics.syncs.count(each.slug, each.phase, each.status, each.seconds)
            return clinic_readings(connection), open_alerts(connection)


async def _answer(probe: Probe[Answer]) -> Answer | None:
    try:
        return await probe.answer()
    except Exception:  # noqa: BLE001 - the scrape itself tells that a source failed
        return None


def _by_state(state: DagsterState | None) -> dict[str, int] | None:
    return None if state is None else {"queued": state.queued, "running": state.running}


def _ages(state: DagsterState, now: datetime) -> dict[str, float]:
    """Seconds since the daemon's heartbeat, and since alerts were last evaluated."""
    moments = {"heartbeat": state.daemon_seen_at, "alerts": state.alerts_evaluated_at}
    # The clock of the daemon's machine may be ahead.
    return {
        name: max(0.0, now.timestamp() - moment)
        for name, moment in moments.items()
        if moment is not None
    }
