"""Reads syncs and reports their state, at once or when they have ended.

The rules that decide the state belong in ``status``.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import RunState
from pims_pipeline.api.syncs.launching import RUN_SEARCH_DELAY, adopt
from pims_pipeline.api.syncs.runs import RunCache
from pims_pipeline.api.syncs.status import SyncState, needs_run_state, sync_state_of
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.store.database.tenancy import clinic_transaction
from pims_pipeline.store.queries.syncs import StoredSync, find_sync


class SyncReport(NamedTuple):
    """A sync and its state."""

    sync: StoredSync
    state: SyncState


class SyncWatcher:
    """Reports the state of syncs; one for each application.

    Args:
        context: The application's.
        room: The slots of waiting requests.
    """

    def __init__(self, context: ApiContext, room: WaitingRoom) -> None:
        self._context = context
        self._room = room
        self._runs = RunCache(context.dagster)

    def find(self, clinic_id: UUID, sync_id: UUID) -> SyncReport | None:
        """Return the report of the clinic's sync with that id; None if there is none."""
        sync = self._stored(clinic_id, sync_id)
        return None if sync is None else self.report(clinic_id, sync)

    def report(self, clinic_id: UUID, sync: StoredSync) -> SyncReport:
        """Return the report of a sync that was just read; may query Dagster."""
        now = self._context.clock()
        if sync.run_id is None and now - sync.created_at >= RUN_SEARCH_DELAY:
            # The launching process may have died before it recorded the run.
            run_id = self._runs.run_of_sync(sync.id)
            if run_id is not None:
                adopt(self._context, clinic_id, sync.id, run_id)
                sync = self._stored(clinic_id, sync.id) or sync
        state: RunState | None = None
        steps: list[str] = []
        if sync.run_id is not None and needs_run_state(sync, now):
            state = self._runs.states([sync.run_id]).get(sync.run_id)
            if state is RunState.FAILED:
                steps = self._runs.failed_steps(sync.run_id)
        return SyncReport(sync, sync_state_of(sync, state, now=now, failed_steps=steps))

    def _stored(self, clinic_id: UUID, sync_id: UUID) -> StoredSync | None:
        with clinic_transaction(self._context.engine, clinic_id) as connection:
            return find_sync(connection, clinic_id, sync_id)

    def wait(self, clinic_id: UUID, sync_id: UUID, seconds: int) -> tuple[SyncReport | None, bool]:
        """Wait until the sync has ended; return its report, and whether it waited.

        Waits ``seconds`` at most, not at all without a free slot, and no longer once the process
        shuts down. The report is None if it did not wait or there is no such sync.
        """
        report: SyncReport | None = None
        with self._room.place() as has_room:
            if has_room:
                for _ in self._room.polls(seconds):
                    report = self.find(clinic_id, sync_id)
                    if report is None or report.state.has_ended:
                        break
        return report, has_room

    def report_all(self, syncs: Sequence[StoredSync]) -> list[SyncReport]:
        """Return the reports of syncs that were just read; queries Dagster once at most."""
        now = self._context.clock()
        unclear = [sync.run_id for sync in syncs if sync.run_id and needs_run_state(sync, now)]
        states = self._runs.states(unclear)
        return [
            SyncReport(sync, sync_state_of(sync, states.get(sync.run_id or ""), now=now))
            for sync in syncs
        ]
