"""What one sync changed: the events that its audit caused, each with its case. Read-only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Text, cast, func, select

from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.queries.case_history import HistoryPart, read_changes
from pims_pipeline.store.tables.cases import case_events, cases


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """An event of a case. Holds personal data: its repr shows none.

    Attributes:
        patient_name: As the case has it now; None if the case is gone. So are ``client_name`` and
            ``pims_id``.
        scheduled_start: Of the case now, aware UTC.
        changes: Before and after, by field.
    """

    seq: int
    case_id: UUID
    kind: EventKind
    occurred_at: datetime
    patient_name: str | None = field(repr=False)
    client_name: str | None = field(repr=False)
    pims_id: str | None
    scheduled_start: datetime | None
    changes: Mapping[str, Any] = field(repr=False)


def change_counts(connection: Connection, audit_id: UUID) -> dict[str, int]:
    """How many events the audit caused, by partition key; none without any."""
    rows = connection.execute(
        select(case_events.c.partition_key, func.count().label("number"))
        .where(case_events.c.audit_id == audit_id)
        .group_by(case_events.c.partition_key)
        .order_by(case_events.c.partition_key)
    )
    return {row.partition_key: row.number for row in rows}


def changes_of_sync(
    connection: Connection, audit_id: UUID, partition_key: str, part: HistoryPart
) -> tuple[CaseChange, ...]:
    """A part of the events that the audit caused in a partition, in the order they were made.

    Args:
        connection: Sees the clinic.
        audit_id: Of the sync.
        partition_key: Its clinic and business date.
        part: How many of the first events to leave out, and how many to return.
    """
    rows = connection.execute(
        select(
            case_events.c.seq,
            case_events.c.case_id,
            case_events.c.kind,
            case_events.c.occurred_at,
            cast(case_events.c.changes, Text).label("changes"),
            cases.c.patient_name,
            cases.c.client_name,
            cases.c.pims_id,
            cases.c.scheduled_start,
        )
        .outerjoin(cases, cases.c.id == case_events.c.case_id)
        .where(
            case_events.c.audit_id == audit_id,
            case_events.c.partition_key == partition_key,
        )
        .order_by(case_events.c.seq)
        .offset(part.skip)
        .limit(part.limit)
    )
    return tuple(
        CaseChange(
            seq=row.seq,
            case_id=row.case_id,
            kind=EventKind(row.kind),
            occurred_at=row.occurred_at,
            patient_name=row.patient_name,
            client_name=row.client_name,
            pims_id=row.pims_id,
            scheduled_start=row.scheduled_start,
            changes=read_changes(row.changes),
        )
        for row in rows
    )
