"""Holds: windows whose deletions wait for a person, with the exact plan."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.reconciliation import ReconciliationPlan


def open_hold(
    connection: Connection,
    clinic: Clinic,
    window: DateRange,
    plan: ReconciliationPlan,
    now: datetime,
) -> UUID:
    """Record a held plan; open holds of overlapping windows are superseded by it."""
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
        {
            **_window_of(clinic, window),
            "reason": plan.hold,
            "plan": json.dumps({"caseIds": [str(case_id) for case_id in plan.orphans]}),
            "active": plan.active,
            "orphaned": len(plan.orphans),
            "now": now,
        },
    ).scalar_one()
    return hold_id


def close_settled_holds(
    connection: Connection, clinic: Clinic, window: DateRange, now: datetime
) -> None:
    """Close open holds whose whole window a later, complete look found in order."""
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


def open_hold_count(connection: Connection, clinic: Clinic) -> int:
    """How many windows of the clinic wait for a person."""
    count: int = connection.execute(
        text(
            "SELECT count(*) FROM reconciliation_holds "
            "WHERE clinic_id = :clinic_id AND status = 'open'"
        ),
        {"clinic_id": clinic.id},
    ).scalar_one()
    return count


def _window_of(clinic: Clinic, window: DateRange) -> dict[str, Any]:
    return {"clinic_id": clinic.id, "start": window.start, "end": window.end}
