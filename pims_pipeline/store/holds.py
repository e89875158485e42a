"""Holds: windows whose deletions wait for an operator's decision, with the exact plan.

The domain decides when to hold; the sync applies an approved plan.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.planning.reconciliation import ReconciliationPlan


class UnknownHold(UserFacingError):
    """There is no such hold."""


class HoldDecided(UserFacingError):
    """The hold was approved, rejected or superseded before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Deletions of a window that the deletion guard stopped.

    Attributes:
        reason: Why the guard stopped them; a value of ``HoldReason``.
        case_ids: The cases that would have been retired.
        retired: Of an approved one, those that were.
        kept: Of an approved one, those that were not, and why.
        decided_by: The name that the operator who decided it gave.
        created_at: Aware UTC, as is ``decided_at``.
        ended: Of a rejected one, the cases that the rejection no longer counts for.
    """

    id: UUID
    clinic_id: UUID
    clinic_slug: str
    window: DateRange
    reason: str
    case_ids: frozenset[UUID]
    cases_active: int
    cases_orphaned: int
    status: HoldStatus
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    retired: frozenset[UUID] = frozenset()
    kept: Mapping[UUID, str] = field(default_factory=dict)
    ended: frozenset[UUID] = frozenset()

    @property
    def stay(self) -> frozenset[UUID]:
        """The cases that stay because this hold was rejected, for as long as they are missing."""
        is_rejected = self.status is HoldStatus.REJECTED
        return self.case_ids - self.ended if is_rejected else frozenset()

    @property
    def is_in_force(self) -> bool:
        """Whether it was rejected and the rejection still counts for a case."""
        return bool(self.stay)


SELECT_HOLDS = (
    "SELECT h.*, c.slug FROM reconciliation_holds AS h JOIN clinics AS c ON c.id = h.clinic_id"
)


def open_hold(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    plan: ReconciliationPlan,
    now: datetime,
) -> UUID:
    """Record a held plan; returns its hold.

    An open hold with the same plan is kept and returned; other open holds of overlapping
    windows are superseded.
    """
    planned = json.dumps({"caseIds": sorted(str(case_id) for case_id in plan.orphans)})
    facts = {**_window_of(clinic, window), "reason": plan.hold, "plan": planned, "now": now}
    existing: UUID | None = connection.execute(
        text(
            """
            SELECT id FROM reconciliation_holds
            WHERE clinic_id = :clinic_id AND status = 'open' AND reason = :reason
              AND window_start = :start AND window_end = :end AND plan = CAST(:plan AS jsonb)
            """
        ),
        facts,
    ).scalar()
    if existing is not None:
        return existing
    _supersede(connection, clinic, window, now, "window_start <= :end AND window_end >= :start")
    hold_id: UUID = connection.execute(
        text(
            """
            INSERT INTO reconciliation_holds (
                clinic_id, window_start, window_end, reason, plan, cases_active, cases_orphaned,
                created_at)
            VALUES (:clinic_id, :start, :end, :reason, CAST(:plan AS jsonb), :active, :orphaned,
                    :now)
            RETURNING id
            """
        ),
        {**facts, "active": plan.active, "orphaned": len(plan.orphans)},
    ).scalar_one()
    return hold_id


def close_settled_holds(
    connection: Connection, clinic: Clinic, window: DateRange, now: datetime
) -> None:
    """Close open holds whose whole window a later, complete listing found in order."""
    _supersede(connection, clinic, window, now, "window_start >= :start AND window_end <= :end")


def _supersede(
    connection: Connection, clinic: Clinic, window: DateRange, now: datetime, which: str
) -> None:
    connection.execute(
        text(
            "UPDATE reconciliation_holds SET status = 'superseded', decided_at = :now "  # noqa: S608 - fixed conditions
            f"WHERE clinic_id = :clinic_id AND status = 'open' AND {which}"
        ),
        {**_window_of(clinic, window), "now": now},
    )


def hold_by_id(connection: Connection, hold_id: UUID, *, lock: bool = False) -> Hold:
    """The hold, decided or not.

    Args:
        connection: In a transaction.
        hold_id: Which hold.
        lock: Whether to lock it against other decisions until the transaction ends.

    Raises:
        UnknownHold: If there is none.
    """
    row = connection.execute(
        text(f"{SELECT_HOLDS} WHERE h.id = :id" + (" FOR UPDATE OF h" if lock else "")),
        {"id": hold_id},
    ).one_or_none()
    if row is None:
        raise UnknownHold(f"there is no hold {hold_id}; `pims holds list` shows those there are")
    return hold_of(row)


def waiting_hold(connection: Connection, hold_id: UUID) -> Hold:
    """The hold, if it is open; locks it until the transaction ends.

    Raises:
        UnknownHold: If there is none.
        HoldDecided: If it was approved, rejected or superseded.
    """
    hold = hold_by_id(connection, hold_id, lock=True)
    if hold.status is not HoldStatus.OPEN:
        by = f" by {hold.decided_by}" if hold.decided_by else ""
        raise HoldDecided(
            f"hold {hold_id} was {hold.status}{by}, so nothing was changed; "
            "`pims holds list` shows those that wait"
        )
    return hold


def list_holds(
    connection: Connection, *, clinic: Clinic | None = None, waiting_only: bool = True
) -> list[Hold]:
    """Holds, newest first; of one clinic or all, open ones or all."""
    rows = connection.execute(
        text(
            f"{SELECT_HOLDS} WHERE (CAST(:clinic_id AS uuid) IS NULL OR h.clinic_id = :clinic_id) "
            "AND (h.status = 'open' OR NOT :waiting_only) ORDER BY h.created_at DESC, h.id"
        ),
        {"clinic_id": clinic.id if clinic else None, "waiting_only": waiting_only},
    )
    return [hold_of(row) for row in rows]


def approve(
    connection: Connection,
    hold: Hold,
    *,
    decided_by: str,
    retired: Collection[UUID],
    kept: Mapping[UUID, str],
    now: datetime,
) -> None:
    """Record that a hold was approved, and what became of its cases."""
    applied = {
        "retired": sorted(str(case_id) for case_id in retired),
        "kept": {str(case_id): why for case_id, why in kept.items()},
    }
    _decide(connection, hold, HoldStatus.APPROVED, by=decided_by, at=now, plan={"applied": applied})


def reject(connection: Connection, hold: Hold, *, decided_by: str, now: datetime) -> None:
    """Record that a hold was rejected: nothing of it is retired while the finding is the same."""
    _decide(connection, hold, HoldStatus.REJECTED, by=decided_by, at=now, plan={})


def _decide(
    connection: Connection,
    hold: Hold,
    status: HoldStatus,
    *,
    by: str,
    at: datetime,
    plan: Mapping[str, Any],
) -> None:
    connection.execute(
        text(
            "UPDATE reconciliation_holds SET status = :status, decided_by = :by, "
            "decided_at = :at, plan = plan || CAST(:plan AS jsonb) WHERE id = :id"
        ),
        {"id": hold.id, "status": status, "by": by, "at": at, "plan": json.dumps(plan)},
    )


def open_hold_count(connection: Connection, clinic: Clinic) -> int:
    """How many holds of the clinic are open."""
    count: int = connection.execute(
        text(
            "SELECT count(*) FROM reconciliation_holds "
            "WHERE clinic_id = :clinic_id AND status = 'open'"
        ),
        {"clinic_id": clinic.id},
    ).scalar_one()
    return count


def hold_of(row: Row[Any]) -> Hold:
    """The hold of a row of ``SELECT_HOLDS``."""
    applied = row.plan.get("applied", {})
    return Hold(
        id=row.id,
        clinic_id=row.clinic_id,
        clinic_slug=row.slug,
        window=DateRange(row.window_start, row.window_end),
        reason=row.reason,
        case_ids=frozenset(map(UUID, row.plan["caseIds"])),
        cases_active=row.cases_active,
        cases_orphaned=row.cases_orphaned,
        status=HoldStatus(row.status),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        created_at=row.created_at,
        retired=frozenset(map(UUID, applied.get("retired", ()))),
        kept={UUID(case_id): why for case_id, why in applied.get("kept", {}).items()},
        ended=frozenset(map(UUID, row.plan.get("ended", ()))),
    )


def _window_of(clinic: Clinic, window: DateRange) -> dict[str, Any]:
    return {"clinic_id": clinic.id, "start": window.start, "end": window.end}
