"""The change feed of a clinic: its case events in the order of their commits. Read-only.

A reader that has read a change has missed none before it: the writers of a clinic's events follow
each other (``store.cases.events``). So a reader continues after the number of the last change that
it has read. Nothing is copied: what is removed from ``case_events`` is removed from the feed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.cases.metadata import json_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a case, with its cause.

    Attributes:
        seq: Grows with each change of the clinic; numbers between may be missing.
        fields: The names of the fields that changed.
        occurred_at: Aware UTC.
        audit_id: None for the import of a case, which no sync did; so is ``phase``.
        values: Before and after, by field, if they were asked for; where Python cannot hold
            them, their text under ``notAnObject``. Personal data.
    """

    seq: int
    case_id: UUID
    kind: EventKind
    fields: tuple[str, ...]
    occurred_at: datetime
    partition_key: str
    run_id: str
    audit_id: UUID | None
    phase: Phase | None
    source_digest: str | None
    values: Mapping[str, Any] | None = field(default=None, repr=False)


_CHANGES = """
    SELECT e.seq, e.case_id, e.kind, e.occurred_at, e.partition_key, e.run_id, e.audit_id,
        e.source_digest, audit.sync_type,
        CASE jsonb_typeof(e.changes) WHEN 'object'
            THEN ARRAY(SELECT jsonb_object_keys(e.changes)) ELSE ARRAY[]::text[] END AS fields,
        CASE WHEN :values THEN e.changes::text END AS changes
    FROM case_events AS e LEFT JOIN case_sync_audits AS audit ON audit.id = e.audit_id
    WHERE e.clinic_id = :clinic_id AND e.seq > :after
    ORDER BY e.seq LIMIT :limit
"""


def changes_after(
    connection: Connection, clinic_id: UUID, after: int, *, limit: int, values: bool = False
) -> list[Change]:
    """The clinic's changes after the one with the number ``after``, oldest first.

    Args:
        connection: In a transaction.
        clinic_id: Whose.
        after: 0 for all of them.
        limit: How many at most.
        values: Whether to read what fields had before and after.
    """
    rows = connection.execute(
        text(_CHANGES),
        {"clinic_id": clinic_id, "after": after, "limit": limit, "values": values},
    )
    return [
        Change(
            seq=row.seq,
            case_id=row.case_id,
            kind=EventKind(row.kind),
            fields=tuple(row.fields),
            occurred_at=row.occurred_at,
            partition_key=row.partition_key,
            run_id=row.run_id,
            audit_id=row.audit_id,
            phase=None if row.sync_type is None else Phase(row.sync_type),
            source_digest=row.source_digest,
            values=_values(row.changes),
        )
        for row in rows
    ]


def newest_change(connection: Connection, clinic_id: UUID) -> int:
    """The number of the clinic's last change that is committed; 0 if it has none."""
    newest = "SELECT max(seq) FROM case_events WHERE clinic_id = :clinic_id"
    return int(connection.scalar(text(newest), {"clinic_id": clinic_id}) or 0)


def last_change(connection: Connection) -> int:
    """The largest number that was ever drawn, of any clinic; 0 if none was.

    A reader that knows a larger one read it before the database was restored from a backup.
    """
    return int(connection.scalar(text("SELECT pims_last_change()")) or 0)


def _values(text_of_changes: str | None) -> Mapping[str, Any] | None:
    if text_of_changes is None:
        return None
    value = json_value(text_of_changes)
    if not isinstance(value, dict):
        # As ``case_history`` shows what Python cannot hold.
        return {"notAnObject": [None, value]}
    # A row that another program wrote must not stop the feed for ever.
    return {name: each if _is_pair(each) else [None, each] for name, each in value.items()}


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - before and after
