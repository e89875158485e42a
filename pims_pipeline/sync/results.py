"""What a sync did: the audits of a run and its deletions, summed up.

Pure: reading audits is the store's, launching runs is the orchestration's. The JSON that the
API and the commands show is made from this in ``pims_pipeline.wire.results``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import PHASES_OF, Phase, Scope
from pims_pipeline.store.audits import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """What one phase did for one clinic.

    Attributes:
        success: Whether every date of the window was worked on to the end.
        sync_id: The first audit's id; None when the phase did not begin.
        counts: Of all its audits together.
        window: The business dates that were asked for.
        deleted_cases: The cases that were soft-deleted, in that order; only of reconciliation.
        error: Why it did not succeed, without personal data; None when it did.
        duration_ms: From the first audit's beginning to the last one's latest step.
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

    @property
    def phases(self) -> tuple["PhaseResult", ...]:
        """Itself, so that every result can be read as its phases."""
        return (self,)

    @property
    def reason(self) -> str | None:
        """Why it did not succeed."""
        return self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class FullResult:
    """What all phases did for one clinic; see ``PhaseResult``.

    Attributes:
        success: False when any phase failed.
        error: Why the run failed, where its phases do not say.
        phases: In the order in which they are done.
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
        """The first phase's error that has one; the run's where none has.

        A phase that did not begin, for want of the first one's listing, has nothing to say.
        """
        errors = (each.error for each in self.phases if each.sync_id is not None)
        return next((error for error in errors if error is not None), self.error)


SyncResult = PhaseResult | FullResult


def sync_result(
    scope: Scope,
    audits: Sequence[Audit],
    window: DateRange,
    *,
    now: datetime,
    deleted_cases: Sequence[UUID] = (),
    error: str | None = None,
) -> SyncResult:
    """What a run did for one clinic.

    Args:
        scope: What was asked for.
        audits: The run's audits of the clinic, oldest first; a long window has several
            of each phase.
        window: The business dates that were asked for.
        now: Aware; when the run ended.
        deleted_cases: The cases that the run soft-deleted.
        error: Why the run failed, without personal data; None when it did not.
    """
    phases = tuple(
        phase_result(
            phase,
            [audit for audit in audits if audit.sync_type is phase],
            window,
            now=now,
            deleted_cases=deleted_cases,
        )
        for phase in PHASES_OF[scope]
    )
    if scope != "full":
        [result] = phases
        if error is None:
            return result
        # Its own words say more than that a date is missing, an audit's more than a run's.
        return replace(result, success=False, error=_error(audits) or error)
    return FullResult(
        success=error is None and all(result.success for result in phases),
        sync_id=audits[0].id if audits else None,
        phases=phases,
        window=window,
        duration_ms=_duration_ms(audits),
        ended_at=now,
        error=error,
    )


def phase_result(
    phase: Phase,
    audits: Sequence[Audit],
    window: DateRange,
    *,
    now: datetime,
    deleted_cases: Sequence[UUID] = (),
) -> PhaseResult:
    """What one phase did for one clinic, by its audits; see ``sync_result``.

    It succeeded when every date of the window was worked on to the end.
    """
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
    )


def _error(audits: Sequence[Audit]) -> str | None:
    """The first thing that kept an audit from being completed."""
    for audit in audits:
        if audit.status is AuditStatus.HELD:
            return (
                f"the deletion guard holds back {audit.counts.held} deletions of {audit.window}: "
                "too many appointments are missing from the calendar at once; nothing was deleted"
            )
        if audit.status is AuditStatus.IN_PROGRESS:
            return f"{audit.window} is not done yet"
        if audit.status is not AuditStatus.COMPLETED:
            return audit.error_message or f"{audit.window}: {audit.status.value}"
    return None


def _duration_ms(audits: Sequence[Audit]) -> int:
    """From the first audit's beginning to the last one's latest step, in milliseconds."""
    if not audits:
        return 0
    began = min(audit.created_at for audit in audits)
    ended = max(audit.updated_at for audit in audits)
    return max(0, round((ended - began).total_seconds() * 1000))
