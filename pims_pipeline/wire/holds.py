"""Holds of the deletion guard, and what happened to their cases."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal, Self
from uuid import UUID

from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.store.holds import Hold
from pims_pipeline.store.queries.case_history import CaseState
from pims_pipeline.wire import cases
from pims_pipeline.wire.results import Dates
from pims_pipeline.wire.shape import Model, Timestamp


class HoldSummary(Model):
    """A hold in a list."""

    id: UUID
    clinic: str
    date_range: Dates
    reason: str
    cases_active: int
    cases_orphaned: int
    status: HoldStatus
    is_in_force: bool
    decided_by: str | None
    decided_at: Timestamp | None
    created_at: Timestamp

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """Build it from a stored hold."""
        return cls(**_facts(hold))


def _facts(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "clinic": hold.clinic_slug,
        "date_range": Dates.of(hold.window),
        "reason": hold.reason,
        "cases_active": hold.cases_active,
        "cases_orphaned": hold.cases_orphaned,
        "status": hold.status,
        "is_in_force": hold.is_in_force,
        "decided_by": hold.decided_by,
        "decided_at": hold.decided_at,
        "created_at": hold.created_at,
    }


class HeldCase(Model):
    """A case of a hold as it is now; its own fields are null if the case no longer exists."""

    id: UUID
    pims_id: str | None
    scheduled_date: date | None
    status: cases.Status | None
    soft_deleted: bool | None
    outcome: Literal["retired", "kept"] | None
    kept_because: str | None
    stays: bool

    @classmethod
    def of(cls, hold: Hold, case_id: UUID, state: CaseState | None) -> Self:
        """Build it from a case of the hold."""
        return cls(
            id=case_id,
            pims_id=state.pims_id if state else None,
            scheduled_date=state.scheduled_date if state else None,
            status=state.status if state else None,
            soft_deleted=state.soft_deleted if state else None,
            outcome=_outcome(hold, case_id),
            kept_because=hold.kept.get(case_id),
            stays=case_id in hold.stay,
        )


def _outcome(hold: Hold, case_id: UUID) -> str | None:
    if case_id in hold.retired:
        return "retired"
    return "kept" if case_id in hold.kept else None


HeldCases = Iterable[tuple[UUID, CaseState | None]]
"""The cases of a hold in the order of display; None for those that no longer exist."""


class HoldDocument(HoldSummary):
    """A hold with its cases."""

    cases: list[HeldCase]

    @classmethod
    def with_cases(cls, hold: Hold, found: HeldCases) -> Self:
        """Build it from a hold and the present state of its cases."""
        return cls(**_facts(hold), cases=_cases(hold, found))


def _cases(hold: Hold, found: HeldCases) -> list[HeldCase]:
    return [HeldCase.of(hold, case_id, state) for case_id, state in found]


class ApprovedHold(HoldDocument):
    """A hold with the audit and the run that approved it."""

    sync_id: UUID
    run_id: str

    @classmethod
    def by(cls, hold: Hold, found: HeldCases, *, sync_id: UUID, run_id: str) -> Self:
        """Build it from a hold that the run approved."""
        return cls(**_facts(hold), cases=_cases(hold, found), sync_id=sync_id, run_id=run_id)


class HoldList(Model):
    """Holds, and the rejected ones that still keep cases."""

    holds: list[HoldSummary]
    rejections_in_force: list[HoldSummary]

    @classmethod
    def of(cls, holds: Iterable[Hold], in_force: Iterable[Hold]) -> Self:
        """Build it from stored holds, newest first."""
        return cls(
            holds=[HoldSummary.of(each) for each in holds],
            rejections_in_force=[HoldSummary.of(each) for each in in_force],
        )
