"""The result of a sync: the audits and deletions of a run, summed up.

Pure. Reading audits belongs in the store, the JSON of the API and the commands in
``pims_pipeline.wire.results``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import PHASES_OF, Phase, Scope
from pims_pipeline.store.audits import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """The result of one phase for one clinic.

    Attributes:
        success: Whether the phase completed every date of the window.
        sync_id: The first audit's id; None if the phase did not start.
        counts: The sum over its audits.
        window: The requested business dates.
        deleted_cases: The soft-deleted cases, in that order; only of reconciliation.
        error: Why it did not succeed, without personal data; None when it did.
        changed_since: Aware; if only what the vendor changed since then was fetched.
        duration_ms: From the start of the first audit to the last update of an audit.
        ended_at: Aware.
    """

    phase: Phase
    success: bool
    sync_id: UUID | None
    counts: Counts
    window: DateRange
    duration_ms: int
    ended_at: datetime
    deleted_cases: tuple[UUID, ...] = ()
    error: str | None = None
    changed_since: datetime | None = None

    @property
    def phases(self) -> tuple["PhaseResult", ...]:
        """Itself, so that every result has phases."""
        return (self,)

    @property
    def reason(self) -> str | None:
        """Why it did not succeed."""
        return self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSyncResult:
    """The result of all phases for one clinic; see ``PhaseResult``.

    Attributes:
        success: False when any phase failed.
        error: Why the first failed phase failed; why the run did, if no audit shows it.
        phases: In the order in which they run.
    """

    success: bool
    sync_id: UUID | None
    phases: tuple[PhaseResult, ...]
    window: DateRange
    duration_ms: int
    ended_at: datetime
    error: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it did not succeed."""
        return self.error


SyncResult = PhaseResult | FullSyncResult


def sync_result(
    scope: Scope,
    audits: Sequence[Audit],
    window: DateRange,
    *,
    now: datetime,
    deleted_cases: Sequence[UUID] = (),
    error: str | None = None,
) -> SyncResult:
    """The result of a run for one clinic.

    Args:
        scope: The requested scope.
        audits: The run's audits of the clinic, oldest first; a long window has several
            of each phase.
        window: The requested business dates.
        now: When the run ended; aware.
        deleted_cases: The cases that the run soft-deleted.
        error: Why the run failed, without personal data; None if it did not.
    """
    audits_of = {
        phase: [audit for audit in audits if audit.sync_type is phase] for phase in PHASES_OF[scope]
    }
    phases = tuple(
        phase_result(phase, of_phase, window, now=now, deleted_cases=deleted_cases)
        for phase, of_phase in audits_of.items()
    )
    if scope != "full":
        [result] = phases
        if error is None:
            return result
        # An audit's error is more specific than the run's, and that than a missing date.
        return replace(result, success=False, error=_error(audits) or error)
    success = error is None and all(result.success for result in phases)
    return FullSyncResult(
        success=success,
        sync_id=audits[0].id if audits else None,
        phases=phases,
        window=window,
        duration_ms=_duration_ms(audits),
        ended_at=now,
        error=None if success else _first_error(audits_of.values(), phases, error),
    )


def _first_error(
    audits: Iterable[Sequence[Audit]], phases: Sequence[PhaseResult], error: str | None
) -> str | None:
    """Why a full sync failed: by its audits, else by its run, else by what is missing."""
    of_audits = (_error(of_phase) for of_phase in audits)
    of_phases = (each.error for each in phases)
    return next((why for why in (*of_audits, error, *of_phases) if why is not None), None)


def phase_result(
    phase: Phase,
    audits: Sequence[Audit],
    window: DateRange,
    *,
    now: datetime,
    deleted_cases: Sequence[UUID] = (),
) -> PhaseResult:
    """The result of one phase for one clinic; see ``sync_result``."""
    done = sum(len(a.window) for a in audits if a.status is AuditStatus.COMPLETED)
    success = done >= len(window)
    return PhaseResult(
        phase=phase,
        success=success,
        sync_id=audits[0].id if audits else None,
        counts=sum((audit.counts for audit in audits), Counts()),
        window=window,
        duration_ms=_duration_ms(audits),
        ended_at=now,
        deleted_cases=tuple(deleted_cases) if phase is Phase.RECONCILIATION else (),
        error=None if success else _error(audits) or "it did not run for the whole window",
        changed_since=min(filter(None, (a.changed_since for a in audits)), default=None),
    )


def _error(audits: Sequence[Audit]) -> str | None:
    """Why the first incomplete audit was not completed."""
    for audit in audits:
        if audit.status is AuditStatus.HELD:
            return (
                f"the deletion guard holds back {audit.counts.held} deletions of {audit.window}: "
                "too many appointments are missing from the calendar at once, or left out, or it "
                "is empty; nothing was deleted; see `pims holds list`"
            )
        if audit.status is AuditStatus.IN_PROGRESS:
            return f"{audit.window} is not done yet"
        if audit.status is not AuditStatus.COMPLETED:
            return audit.error_message or f"{audit.window}: {audit.status.value}"
    return None


def _duration_ms(audits: Sequence[Audit]) -> int:
    """See ``PhaseResult.duration_ms``."""
    if not audits:
        return 0
    began = min(audit.created_at for audit in audits)
    ended = max(audit.updated_at for audit in audits)
    return max(0, round((ended - began).total_seconds() * 1000))
