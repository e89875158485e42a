"""Rejections: rejected holds that still keep cases, and the audits that they affect.

``holds`` records a rejection.
"""

import json
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.planning.rejections import Rejection
from pims_pipeline.store.holds import SELECT_HOLDS, Hold, hold_of

_IN_FORCE = (
    "h.status = 'rejected' "
    "AND jsonb_array_length(h.plan -> 'caseIds') "
    "> jsonb_array_length(coalesce(h.plan -> 'ended', '[]'::jsonb))"
)


def rejections_in_force(connection: Connection, *, clinic: Clinic | None = None) -> list[Hold]:
    """The rejected holds that still count, newest first; of one clinic or all."""
    rows = connection.execute(
        text(
            f"{SELECT_HOLDS} WHERE (CAST(:clinic_id AS uuid) IS NULL OR h.clinic_id = :clinic_id) "
            f"AND {_IN_FORCE} ORDER BY h.decided_at DESC, h.id"
        ),
        {"clinic_id": clinic.id if clinic else None},
    )
    return [hold_of(row) for row in rows]


def rejections(connection: Connection, clinic: Clinic) -> list[Rejection]:
    """The decisions on the clinic's cases that still count."""
    return [
        Rejection(
            hold_id=hold.id,
            reason=hold.reason,
            case_ids=hold.stay,
            decided_at=hold.decided_at or hold.created_at,
        )
        for hold in rejections_in_force(connection, clinic=clinic)
    ]


def end_rejections(connection: Connection, clinic: Clinic, case_ids: Collection[UUID]) -> None:
    """Note that rejections no longer count for these cases: their appointments are there again."""
    for hold in rejections_in_force(connection, clinic=clinic) if case_ids else ():
        if hold.stay.intersection(case_ids):
            _end(connection, hold, case_ids)


def reopen(connection: Connection, hold: Hold) -> None:
    """End a rejection: cases that are still missing are held again."""
    _end(connection, hold, hold.case_ids)


def note_kept(connection: Connection, audit_id: UUID, hold_id: UUID) -> None:
    """Record with the audit the rejected hold that kept missing cases."""
    connection.execute(
        text("UPDATE case_sync_audits SET kept_by_hold_id = :hold_id WHERE id = :id"),
        {"id": audit_id, "hold_id": hold_id},
    )


def kept_by(connection: Connection, audit_id: UUID) -> UUID | None:
    """The rejected hold that kept the audit's missing cases, if one did."""
    found: UUID | None = connection.execute(
        text("SELECT kept_by_hold_id FROM case_sync_audits WHERE id = :id"), {"id": audit_id}
    ).scalar_one()
    return found


def _end(connection: Connection, hold: Hold, case_ids: Collection[UUID]) -> None:
    ended = sorted(str(each) for each in hold.ended | hold.case_ids.intersection(case_ids))
    connection.execute(
        text("UPDATE reconciliation_holds SET plan = plan || CAST(:plan AS jsonb) WHERE id = :id"),
        {"id": hold.id, "plan": json.dumps({"ended": ended})},
    )
