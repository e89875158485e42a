"""The result of a sync: of one phase, or of all three.

Built from ``pims_pipeline.sync.results``. The progress of a sync is in ``syncs``.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.sync import results
from pims_pipeline.wire.shape import Model, Timestamp, left_out_if_none


class Dates(Model):
    """Business dates, both included."""

    start_date: date
    end_date: date

    @classmethod
    def of(cls, window: DateRange) -> Self:
        """Build it from a window."""
        return cls(start_date=window.start, end_date=window.end)


class _Result(Model):
    success: bool
    sync_id: Annotated[UUID | None, Field(description="Null for a phase that did not begin.")]
    date_range: Dates
    error: Annotated[str | None, left_out_if_none("Only if it did not succeed.")] = None
    duration_ms: int
    timestamp: Annotated[Timestamp, Field(description="When it ended.")]


def _facts(result: results.SyncResult) -> dict[str, Any]:
    """Return the fields that all results share."""
    return {
        "success": result.success,
        "sync_id": result.sync_id,
        "date_range": Dates.of(result.window),
        "error": result.error,
        "duration_ms": result.duration_ms,
        "timestamp": result.ended_at,
    }


class InboundStats(Model):
    """What happened to the records of the calendar."""

    appointments_found: int
    cases_created: int
    cases_updated: int
    cases_skipped: int
    cases_restored: int
    quarantined: int
    left_out: Annotated[
        int, Field(description="Appointments of rooms or providers that are not synced.")
    ]

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Build it from the counts of an inbound phase; what changes no case is skipped."""
        return cls(
            appointments_found=counts.found,
            cases_created=counts.created,
            cases_updated=counts.updated,
            cases_skipped=(
                counts.unchanged + counts.blocked + counts.left_out + counts.quarantined
            ),
            cases_restored=counts.restored,
            quarantined=counts.quarantined,
            left_out=counts.left_out,
        )


class InboundResult(_Result):
    """The result of an inbound phase."""

    stats: InboundStats
    changed_since: Annotated[
        Timestamp | None,
        left_out_if_none("Only if just what the vendor changed since then was fetched."),
    ] = None

    @classmethod
    def of(cls, result: results.PhaseResult) -> Self:
        """Build it from the result of an inbound phase."""
        stats = InboundStats.of(result.counts)
        return cls(stats=stats, changed_since=result.changed_since, **_facts(result))


class CasesStats(Model):
    """What happened to the appointments whose consultations were due."""

    cases_found: int
    cases_enriched: int
    cases_skipped: int
    cases_errored: int

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Build it from the counts of an enrichment; unchanged cases count as skipped."""
        return cls(
            cases_found=counts.found,
            cases_enriched=counts.enriched,
            cases_skipped=counts.skipped + counts.unchanged,
            cases_errored=counts.errored,
        )


class CasesResult(_Result):
    """The result of fetching consultations."""

    stats: CasesStats

    @classmethod
    def of(cls, result: results.PhaseResult) -> Self:
        """Build it from the result of an enrichment."""
        return cls(stats=CasesStats.of(result.counts), **_facts(result))


class ReconciliationStats(Model):
    """What happened to the cases that were compared with the calendar."""

    cases_checked: int
    cases_deleted: int
    cases_updated: int
    cases_held: int
    left_out: Annotated[
        int,
        Field(description="Cases retired because their room or provider is not synced."),
    ]

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Build it from the counts of a reconciliation."""
        return cls(
            cases_checked=counts.found,
            cases_deleted=counts.deleted,
            cases_updated=counts.updated,
            cases_held=counts.held,
            left_out=counts.left_out,
        )


class ReconciliationResult(_Result):
    """The result of a reconciliation. Cases are soft-deleted, never physically deleted."""

    stats: ReconciliationStats
    deleted_cases: tuple[UUID, ...]

    @classmethod
    def of(cls, result: results.PhaseResult) -> Self:
        """Build it from the result of a reconciliation."""
        stats = ReconciliationStats.of(result.counts)
        return cls(stats=stats, deleted_cases=result.deleted_cases, **_facts(result))


AnyPhaseResult = InboundResult | CasesResult | ReconciliationResult


class FullResult(_Result):
    """The results of all three phases; ``success`` is false if any of them failed."""

    inbound_result: InboundResult
    cases_result: CasesResult
    reconciliation_result: ReconciliationResult

    @classmethod
    def of(cls, result: results.FullSyncResult) -> Self:
        """Build it from the result of a full sync."""
        phases = {each.phase.names.result: phase_result(each) for each in result.phases}
        return cls.model_validate({**_facts(result), **phases})


AnyResult = InboundResult | CasesResult | ReconciliationResult | FullResult

_MODELS: Mapping[Phase, type[AnyPhaseResult]] = MappingProxyType(
    {
        Phase.INBOUND: InboundResult,
        Phase.CASES: CasesResult,
        Phase.RECONCILIATION: ReconciliationResult,
    }
)


def phase_result(result: results.PhaseResult) -> AnyPhaseResult:
    """Return the model of one phase's result."""
    return _MODELS[result.phase].of(result)


def any_result(result: results.SyncResult) -> AnyResult:
    """Return the model of a sync's result, of one phase or of all."""
    if isinstance(result, results.PhaseResult):
        return phase_result(result)
    return FullResult.of(result)
