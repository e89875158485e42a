"""Telling of syncs: one by its id, at once or when it has ended; and the newest.

What a sync's audits and Dagster's word amount to is decided in ``standing``.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import RunState
from pims_pipeline.api.syncs.launching import LOOK_FOR_RUN, adopt
from pims_pipeline.api.syncs.runs import RunWatch
from pims_pipeline.api.syncs.status import SyncState, needs_run_state, sync_state_of
from pims_pipeline.api.syncs.waiting import WaitingRoom
from pims_pipeline.store.database.tenancy import clinic_transaction
from pims_pipeline.store.queries.syncs import StoredSync, find_sync


class ReportedSync(NamedTuple):
    """A sync, and how it stands."""

    sync: StoredSync
    standing: SyncState


class SyncWatcher:
    """Tells of syncs; one for each application.

    Args:
        context: The application's.
        room: For those who wait.
    """

    def __init__(self, context: ApiContext, room: WaitingRoom) -> None:
        self._context = context
        self._room = room
        self._runs = RunWatch(context.dagster)

    def look(self, clinic_id: UUID, sync_id: UUID) -> ReportedSync | None:
        """The clinic's sync with that id, as it stands now; None if there is none."""
        sync = self._stored(clinic_id, sync_id)
        return None if sync is None else self.told(clinic_id, sync)

    def told(self, clinic_id: UUID, sync: StoredSync) -> ReportedSync:
        """How the clinic's sync, which was just read, stands; may ask Dagster."""
        now = self._context.clock()
        if sync.run_id is None and now - sync.created_at >= LOOK_FOR_RUN:
            # Whoever launched it may have died before it could record the run.
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
        return ReportedSync(sync, sync_state_of(sync, state, now=now, failed_steps=steps))

    def _stored(self, clinic_id: UUID, sync_id: UUID) -> StoredSync | None:
        with clinic_transaction(self._context.engine, clinic_id) as connection:
            return find_sync(connection, clinic_id, sync_id)

    def wait(
        self, clinic_id: UUID, sync_id: UUID, seconds: int
    ) -> tuple[ReportedSync | None, bool]:
        """The sync, when it has ended or so many seconds have passed; and whether it waited.

        It does not wait when there is no room, and not on when the process is to end.
        """
        told: ReportedSync | None = None
        with self._room.place() as has_room:
            if has_room:
                for _ in self._room.looks(seconds):
                    told = self.look(clinic_id, sync_id)
                    if told is None or told.standing.has_ended:
                        break
        return told, has_room

    def report_all(self, syncs: Sequence[StoredSync]) -> list[ReportedSync]:
        """How syncs that were just read stand, in their order; asks Dagster once at most."""
        now = self._context.clock()
        unclear = [sync.run_id for sync in syncs if sync.run_id and needs_run_state(sync, now)]
        states = self._runs.states(unclear)
        return [
            ReportedSync(sync, sync_state_of(sync, states.get(sync.run_id or ""), now=now))
            for sync in syncs
        ]
