"""The console's runs, through Dagster's webserver, as the API starts its own.

The console knows neither Dagster nor the API: this is where the two meet.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pims_pipeline.api.dagster_client import DagsterClient, RunState
from pims_pipeline.api.syncs.runs import RunCache
from pims_pipeline.api.syncs.status import needs_run_state, sync_state_of
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Scope
from pims_pipeline.operations.console.launching import RunConfig, SyncStage
from pims_pipeline.store.queries.syncs import StoredSync


class ConsoleRuns:
    """See ``RunStarter``; thread-safe.

    Args:
        dagster: The API's client.
    """

    def __init__(self, dagster: DagsterClient) -> None:
        self._dagster = dagster
        self._cache = RunCache(dagster)

    def launch(
        self,
        scope: Scope,
        slug: str,
        window: DateRange,
        *,
        tags: Mapping[str, str],
        config: RunConfig,
    ) -> str:
        """See ``RunStarter``."""
        return self._dagster.launch(scope, slug, window, tags=tags, config=config)

    def run_of_sync(self, sync_id: UUID) -> str | None:
        """See ``RunStarter``."""
        return self._cache.run_of_sync(sync_id)

    def stage(self, sync: StoredSync, now: datetime) -> SyncStage:
        """See ``RunStarter``; decided as the API decides it."""
        run: RunState | None = None
        steps: list[str] = []
        if sync.run_id is not None and needs_run_state(sync, now):
            run = self._cache.states([sync.run_id]).get(sync.run_id)
            if run is RunState.FAILED:
                steps = self._cache.failed_steps(sync.run_id)
        state = sync_state_of(sync, run, now=now, failed_steps=steps)
        progress = state.progress
        return SyncStage(
            status=state.status,
            has_ended=state.has_ended,
            phase=progress.phase if progress else None,
            done=progress.items_done if progress else 0,
            total=progress.items_total if progress else 0,
            error=state.error,
        )
