"""Failures: records and consultations that could not be read or fetched."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Self
from uuid import UUID

from pims_pipeline.domain.failures import FailureStatus
from pims_pipeline.domain.phases import PhaseName
from pims_pipeline.operations.failures import RetryOutcome
from pims_pipeline.store.failures import ClinicFailure
from pims_pipeline.wire.results import Dates
from pims_pipeline.wire.shape import Model, Timestamp


class FailureDocument(Model):
    """A failure."""

    id: UUID
    clinic: str
    phase: PhaseName
    record_key: str
    pims_id: str | None
    case_id: UUID | None
    business_date: date | None
    date_range: Dates | None
    status: FailureStatus
    attempts: int
    error_class: str
    error_message: str
    first_failed_at: Timestamp
    last_failed_at: Timestamp
    next_retry_at: Timestamp | None
    resolved_at: Timestamp | None

    @classmethod
    def of(cls, known: ClinicFailure) -> Self:
        """Build it from a stored failure."""
        return cls(**_facts(known))


def _facts(known: ClinicFailure) -> dict[str, Any]:
    failure = known.failure
    return {
        "id": failure.id,
        "clinic": known.clinic_slug,
        "phase": failure.phase,
        "record_key": failure.record_key,
        "pims_id": failure.pims_id,
        "case_id": known.case_id,
        "business_date": failure.business_date,
        "date_range": Dates.of(failure.window) if failure.window else None,
        "status": known.status,
        "attempts": failure.attempts,
        "error_class": failure.error_class,
        "error_message": failure.error_message,
        "first_failed_at": failure.first_failed_at,
        "last_failed_at": failure.last_failed_at,
        "next_retry_at": failure.next_retry_at,
        "resolved_at": failure.resolved_at,
    }


class RetriedFailure(FailureDocument):
    """A failure after a retry."""

    outcome: RetryOutcome
    sync_id: UUID | None
    run_id: str

    @classmethod
    def by(
        cls, known: ClinicFailure, *, outcome: RetryOutcome, sync_id: UUID | None, run_id: str
    ) -> Self:
        """Build it from a failure that the run retried."""
        return cls(**_facts(known), outcome=outcome, sync_id=sync_id, run_id=run_id)


class FailureList(Model):
    """Failures, the latest to fail first."""

    failures: list[FailureDocument]

    @classmethod
    def of(cls, found: Iterable[ClinicFailure]) -> Self:
        """Build it from stored failures."""
        return cls(failures=[FailureDocument.of(each) for each in found])
