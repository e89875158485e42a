"""What a sync is answered with: audits and deletions summed up into one JSON document.

The command line prints it and the API sends it; its names are those of the API. Pure:
reading audits is the store's, launching runs is the orchestration's.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NotRequired, TypedDict, final
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import PHASES_OF, Phase, Scope
from pims_pipeline.store.audits import Audit


class Dates(TypedDict):
    """Business dates, both included."""

    startDate: str
    endDate: str


@final
class PhaseResult(TypedDict):
    """What one phase did. ``syncId`` is None when it did not begin."""

    success: bool
    syncId: str | None
    stats: dict[str, int]
    dateRange: Dates
    deletedCases: NotRequired[list[str]]
    error: NotRequired[str]
    durationMs: int
    timestamp: str


@final
class FullResult(TypedDict):
    """What all three phases did. ``success`` is False when any of them failed."""

    success: bool
    syncId: str | None
    inboundResult: PhaseResult
    casesResult: PhaseResult
    reconciliationResult: PhaseResult
    dateRange: Dates
    error: NotRequired[str]
    durationMs: int
    timestamp: str


def utc_text(moment: datetime) -> str:
    """An aware moment as the API writes it, such as ``2026-03-29T01:00:00.000Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def sync_result(
    scope: Scope,
    audits: Sequence[Audit],
    window: DateRange,
    *,
    now: datetime,
    deleted_cases: Sequence[UUID] = (),
    error: str | None = None,
) -> PhaseResult | FullResult:
    """What a run did for one clinic.

    Args:
        scope: What was asked for.
        audits: The run's audits of the clinic, oldest first; a long window has several
            of each phase.
        window: The business dates that were asked for.
        now: Aware; becomes the result's timestamp.
        deleted_cases: The cases that the run soft-deleted.
        error: Why the run failed, without personal data; None when it did not.
    """
    phases = {
        phase: phase_result(
            phase,
            [audit for audit in audits if audit.sync_type is phase],
            window,
            now=now,
            deleted_cases=deleted_cases,
        )
        for phase in PHASES_OF[scope]
    }
    if scope != "full":
        [result] = phases.values()
        if error is not None:
            # Its own words say more than that a date is missing, an audit's more than a run's.
            result["error"] = _error(audits) or error
            result["success"] = False
        return result
    named = {phase.names.result: result for phase, result in phases.items()}
    full = FullResult(
        success=error is None and all(result["success"] for result in phases.values()),
        syncId=str(audits[0].id) if audits else None,
        inboundResult=named["inboundResult"],
        casesResult=named["casesResult"],
        reconciliationResult=named["reconciliationResult"],
        dateRange=_dates(window),
        durationMs=_duration_ms(audits),
        timestamp=utc_text(now),
    )
    if error is not None:
        full["error"] = error
    return full


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
    counts = sum((audit.counts for audit in audits), Counts())
    done = sum(len(a.window) for a in audits if a.status is AuditStatus.COMPLETED)
    success = done >= len(window)
    result = PhaseResult(
        success=success,
        syncId=str(audits[0].id) if audits else None,
        stats=_STATS[phase](counts),
        dateRange=_dates(window),
        durationMs=_duration_ms(audits),
        timestamp=utc_text(now),
    )
    if phase is Phase.RECONCILIATION:
        result["deletedCases"] = [str(case_id) for case_id in deleted_cases]
    if not success:
        result["error"] = _error(audits) or "it did not run for the whole window"
    return result


def _error(audits: Sequence[Audit]) -> str | None:
    """The first thing that kept an audit from being completed."""
    for audit in audits:
        if audit.status is AuditStatus.HELD:
            return (
                f"the deletion guard holds back {audit.counts.held} deletions of {audit.window}: "
                "too many visits are missing from the diary at once; nothing was deleted"
            )
        if audit.status is AuditStatus.IN_PROGRESS:
            return f"{audit.window} is not done yet"
        if audit.status is not AuditStatus.COMPLETED:
            return audit.error_message or f"{audit.window}: {audit.status.value}"
    return None


def _inbound_stats(counts: Counts) -> dict[str, int]:
    return {
        "appointmentsFound": counts.found,
        "casesCreated": counts.created,
        "casesUpdated": counts.updated,
        "casesSkipped": counts.unchanged + counts.blocked + counts.quarantined,
        "casesRestored": counts.restored,
        "quarantined": counts.quarantined,
    }


def _case_stats(counts: Counts) -> dict[str, int]:
    return {
        "casesFound": counts.found,
        "casesEnriched": counts.enriched,
        "casesSkipped": counts.skipped + counts.unchanged,
        "casesErrored": counts.errored,
    }


def _reconciliation_stats(counts: Counts) -> dict[str, int]:
    return {
        "casesChecked": counts.found,
        "casesDeleted": counts.deleted,
        "casesUpdated": counts.updated,
        "casesHeld": counts.held,
    }


_STATS: Mapping[Phase, Callable[[Counts], dict[str, int]]] = MappingProxyType(
    {
        Phase.INBOUND: _inbound_stats,
        Phase.CASES: _case_stats,
        Phase.RECONCILIATION: _reconciliation_stats,
    }
)


def _dates(window: DateRange) -> Dates:
    return Dates(startDate=window.start.isoformat(), endDate=window.end.isoformat())


def _duration_ms(audits: Sequence[Audit]) -> int:
    """From the first audit's beginning to the last one's latest step, in milliseconds."""
    if not audits:
        return 0
    began = min(audit.created_at for audit in audits)
    ended = max(audit.updated_at for audit in audits)
    return max(0, round((ended - began).total_seconds() * 1000))
