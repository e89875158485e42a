"""How a sync stands: one word, its progress, its result; from its audits and Dagster's word.

Pure. Audits tell most. Dagster's word on the run is needed where they cannot: before the
first one, after the last, and when one has not moved for a while. Without it the answer is
what the audits say.
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
"""After so long, whoever was launching a run is not any more; more than a launch can take."""
AUDIT_TIMEOUT = timedelta(seconds=60)
"""After so long without a move, Dagster is asked whether the audit's run goes on."""
START_TIMEOUT = timedelta(minutes=5)
"""After so long, a run that Dagster has made and not even queued will not be started."""

_BROKEN_OFF = "the process that did it ended before it was done"
_BAD = frozenset({AuditStatus.FAILED, AuditStatus.HELD, AuditStatus.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the phase that is under way has come; windows of it that wait do not count."""

    phase: Phase
    items_done: int
    items_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How a sync stands.

    Attributes:
        progress: Of a running one, once its first audit has begun.
        result: Of one that ended.
        error: Why it did not succeed.
        at: Aware UTC; when it ended, or the moment it was looked at. What is told of a sync
            that ended is the same from then on.
    """

    status: Status
    at: datetime
    progress: Progress | None = None
    result: SyncResult | None = None
    error: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.result is not None


def needs_run_state(sync: StoredSync, now: datetime) -> bool:
    """Whether the audits alone do not tell how the sync stands."""
    if sync.run_id is None:
        return False
    moved = [a.updated_at for a in sync.audits if a.status is AuditStatus.IN_PROGRESS]
    if moved:
        return age_of(max(moved), now) > AUDIT_TIMEOUT
    return sync.is_request


def sync_state_of(
    sync: StoredSync, run: RunState | None, *, now: datetime, failed_steps: Sequence[str] = ()
) -> SyncState:
    """How the sync stands.

    Args:
        sync: As stored.
        run: What Dagster says of its run; None when it was not asked, or is silent.
        now: Aware UTC.
        failed_steps: Of a run that failed, by Dagster's names.
    """
    if sync.run_id is None:
        if age_of(sync.created_at, now) <= LAUNCH_TIMEOUT:
            return SyncState(status="queued", at=now)
        return _ended(sync, "it was not started: Dagster could not be reached")
    if run is not None and run.is_final:
        stopped = replace(sync, audits=tuple(_stopped(audit) for audit in sync.audits))
        return _ended(stopped, _run_error(sync, run, failed_steps))
    if not sync.audits:
        return _not_begun(sync, run, now)
    if _has_run(sync, run, now):
        return _ended(sync, None)
    return SyncState(status="running", at=now, progress=_progress(sync.audits))


def _stopped(audit: Audit) -> Audit:
    """An audit of a run that ended, which its process may not have lived to say."""
    if audit.status is not AuditStatus.IN_PROGRESS:
        return audit
    message = audit.error_message or _BROKEN_OFF
    return replace(audit, status=AuditStatus.INTERRUPTED, error_message=message)


def _run_error(sync: StoredSync, run: RunState, failed_steps: Sequence[str]) -> str | None:
    """Why the run did not succeed, where it is the sync's alone."""
    if not sync.is_request or run is RunState.SUCCEEDED:
        return None
    if run is RunState.CANCELED:
        return "the run was canceled"
    if run is RunState.GONE:
        return None if _is_covered(sync) else "Dagster does not know the run any more"
    if failed_steps:
        return f"the run failed at {', '.join(failed_steps)}; the Dagster UI tell more"
    return "the run failed; the Dagster UI tell more"


def _not_begun(sync: StoredSync, run: RunState | None, now: datetime) -> SyncState:
    if run is RunState.CREATED and age_of(sync.created_at, now) > START_TIMEOUT:
        return _ended(sync, "Dagster made the run and did not start it")
    status: Status = "running" if run is RunState.RUNNING else "queued"
    return SyncState(status=status, at=now)


def _has_run(sync: StoredSync, run: RunState | None, now: datetime) -> bool:
    """Whether it ended, as far as its audits tell."""
    if any(audit.status is AuditStatus.IN_PROGRESS for audit in sync.audits):
        return False
    if not sync.is_request:
        return True
    if run is not None:
        # The checks after the last audit belong to the run, and may fail it.
        return False
    if _is_covered(sync):
        return True
    # A phase that failed keeps the others from beginning; they may also be about to begin.
    last = max(audit.updated_at for audit in sync.audits)
    return age_of(last, now) > AUDIT_TIMEOUT and any(audit.status in _BAD for audit in sync.audits)


def _is_covered(sync: StoredSync) -> bool:
    """Whether each phase was begun for every date."""
    days = len(sync.window)
    return all(
        sum(len(audit.window) for audit in sync.audits if audit.sync_type is phase) >= days
        for phase in PHASES_OF[sync.scope]
    )


def _progress(audits: Sequence[Audit]) -> Progress:
    going = [audit for audit in audits if audit.status is AuditStatus.IN_PROGRESS]
    phase = (going or audits)[-1].sync_type
    of_phase = [audit for audit in audits if audit.sync_type is phase]
    return Progress(
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
    # A run that was executed under a tag of another's has audits with ids of their own.
    result = replace(result, sync_id=sync.id)
    if result.success:
        return SyncState(status="completed", at=at, result=result)
    return SyncState(status=_bad_status(sync.audits), at=at, result=result, error=result.reason)


def _bad_status(audits: Sequence[Audit]) -> Status:
    statuses = {audit.status for audit in audits}
    worse = {AuditStatus.FAILED, AuditStatus.INTERRUPTED}
    return "held" if AuditStatus.HELD in statuses and not statuses & worse else "failed"
