"""Decides the status, progress and result of a sync from its audits and the state of its run.

Pure. The audits decide if they can. The state of the run is needed before the first audit,
after the last, and when an audit was not updated for a while. Without it, the audits decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pims_pipeline.api.dagster_client import RunState
from pims_pipeline.domain.moments import age_of
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import PHASES_OF, Phase
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline.sync.results import SyncResult, sync_result
from pims_pipeline.wire.syncs import Status

LAUNCH_TIMEOUT = timedelta(seconds=60)
"""After this, no process can still be launching the run: a launch takes less."""
AUDIT_TIMEOUT = timedelta(seconds=60)
"""After this without an update of an audit, Dagster is asked for the state of its run."""
START_TIMEOUT = timedelta(minutes=5)
"""After this, a run that Dagster created but did not queue will not start."""

_INTERRUPTED = "the process that did it ended before it was done"
_BAD = frozenset({AuditStatus.FAILED, AuditStatus.HELD, AuditStatus.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """The progress of the active phase; windows that have not begun do not count."""

    phase: Phase
    items_done: int
    items_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """The state of a sync. It no longer changes once the sync has ended.

    Attributes:
        status: In one word.
        at: When it ended, else when it was read; aware UTC.
        progress: Of a running sync, once its first audit has begun.
        result: Of an ended sync.
        error: Why it did not succeed.
    """

    status: Status
    at: datetime
    progress: SyncProgress | None = None
    result: SyncResult | None = None
    error: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the sync has ended."""
        return self.result is not None


def needs_run_state(sync: StoredSync, now: datetime) -> bool:
    """Whether the audits alone cannot decide the status of the sync."""
    if sync.run_id is None:
        return False
    updated = [a.updated_at for a in sync.audits if a.status is AuditStatus.IN_PROGRESS]
    if updated:
        return age_of(max(updated), now) > AUDIT_TIMEOUT
    return sync.is_request


def sync_state_of(
    sync: StoredSync, run: RunState | None, *, now: datetime, failed_steps: Sequence[str] = ()
) -> SyncState:
    """Return the state of the sync.

    Args:
        sync: As stored.
        run: The state of its run; None if it was not needed or could not be read.
        now: Aware UTC.
        failed_steps: Of a failed run, by Dagster's names.
    """
    if sync.run_id is None:
        if age_of(sync.created_at, now) <= LAUNCH_TIMEOUT:
            return SyncState(status="queued", at=now)
        return _ended(sync, "it was not started: Dagster could not be reached")
    if run is not None and run.is_final:
        interrupted = replace(sync, audits=tuple(_interrupted(audit) for audit in sync.audits))
        return _ended(interrupted, _run_error(sync, run, failed_steps))
    if not sync.audits:
        return _not_begun(sync, run, now)
    if _has_run(sync, run, now):
        return _ended(sync, None)
    return SyncState(status="running", at=now, progress=_progress(sync.audits))


def _interrupted(audit: Audit) -> Audit:
    """Return an audit of an ended run; one still in progress was interrupted."""
    if audit.status is not AuditStatus.IN_PROGRESS:
        return audit
    message = audit.error_message or _INTERRUPTED
    return replace(audit, status=AuditStatus.INTERRUPTED, error_message=message)


def _run_error(sync: StoredSync, run: RunState, failed_steps: Sequence[str]) -> str | None:
    """Return why the run did not succeed, if it belongs to this sync only."""
    if not sync.is_request or run is RunState.SUCCEEDED:
        return None
    if run is RunState.CANCELED:
        return "the run was canceled"
    if run is RunState.GONE:
        return None if _is_covered(sync) else "Dagster does not know the run any more"
    if failed_steps:
        return f"the run failed at {', '.join(failed_steps)}; see the Dagster UI"
    return "the run failed; see the Dagster UI"


def _not_begun(sync: StoredSync, run: RunState | None, now: datetime) -> SyncState:
    if run is RunState.CREATED and age_of(sync.created_at, now) > START_TIMEOUT:
        return _ended(sync, "Dagster made the run and did not start it")
    status: Status = "running" if run is RunState.RUNNING else "queued"
    return SyncState(status=status, at=now)


def _has_run(sync: StoredSync, run: RunState | None, now: datetime) -> bool:
    """Whether the sync has ended, according to its audits."""
    if any(audit.status is AuditStatus.IN_PROGRESS for audit in sync.audits):
        return False
    if not sync.is_request:
        return True
    if run is not None:
        # The checks after the last audit are part of the run, and may fail it.
        return False
    if _is_covered(sync):
        return True
    # After a failed phase the others may never begin, or be about to begin.
    last = max(audit.updated_at for audit in sync.audits)
    return age_of(last, now) > AUDIT_TIMEOUT and any(audit.status in _BAD for audit in sync.audits)


def _is_covered(sync: StoredSync) -> bool:
    """Whether each phase has audits for every date."""
    days = len(sync.window)
    return all(
        sum(len(audit.window) for audit in sync.audits if audit.sync_type is phase) >= days
        for phase in PHASES_OF[sync.scope]
    )


def _progress(audits: Sequence[Audit]) -> SyncProgress:
    active = [audit for audit in audits if audit.status is AuditStatus.IN_PROGRESS]
    phase = (active or audits)[-1].sync_type
    of_phase = [audit for audit in audits if audit.sync_type is phase]
    return SyncProgress(
        phase,
        sum(audit.items_done for audit in of_phase),
        sum(audit.items_total for audit in of_phase),
    )


def _ended(sync: StoredSync, error: str | None) -> SyncState:
    at = max([sync.created_at, *(audit.updated_at for audit in sync.audits)])
    result = sync_result(
        sync.scope,
        sync.audits,
        sync.window,
        now=at,
        deleted_cases=sync.deleted_cases,
        error=error,
    )
    # The audits of a re-executed run have ids of their own.
    result = replace(result, sync_id=sync.id)
    if result.success:
        return SyncState(status="completed", at=at, result=result)
    return SyncState(status=_bad_status(sync.audits), at=at, result=result, error=result.reason)


def _bad_status(audits: Sequence[Audit]) -> Status:
    statuses = {audit.status for audit in audits}
    worse = {AuditStatus.FAILED, AuditStatus.INTERRUPTED}
    return "held" if AuditStatus.HELD in statuses and not statuses & worse else "failed"
