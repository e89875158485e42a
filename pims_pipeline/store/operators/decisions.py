"""The decisions of operators in ``operator_log``: who decided what, and why. Read-only.

``log`` adds them. A decision's details have the keys of ``domain/console/decisions.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.store.tables.operators import DECISIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision of an operator.

    Attributes:
        seq: Its place in the log.
        operator_id: Who decided.
        occurred_at: Aware UTC.
    """

    seq: int
    operator_id: UUID
    action: OperatorAction
    details: Mapping[str, Any]
    occurred_at: datetime


_SELECT = (
    "SELECT seq, operator_id, action, details, occurred_at FROM operator_log "  # noqa: S608 - fixed
    f"WHERE clinic_id = :clinic_id AND {DECISIONS} AND details @> CAST(:about AS jsonb) "
    "ORDER BY seq"
)


def decisions_about(
    connection: Connection, clinic_id: UUID, about: Mapping[str, str]
) -> list[Decision]:
    """The decisions at a clinic whose details hold ``about``; oldest first."""
    given = {"clinic_id": clinic_id, "about": json.dumps(dict(about))}
    rows = connection.execute(text(_SELECT), given)
    return [_decision(row) for row in rows]


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        seq=row.seq,
        operator_id=row.operator_id,
        action=OperatorAction(row.action),
        details=row.details,
        occurred_at=row.occurred_at,
    )
