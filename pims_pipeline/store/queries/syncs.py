"""Syncs as clients of the API see them: requests with the audits of their runs. Read-only.

An audit that no client requested is a sync by itself. The API renders a sync.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, text

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase, Scope
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.store.audits import Audit, audit_of
from pims_pipeline.store.tables.cases import case_events
from pims_pipeline.store.tables.syncs import case_sync_audits, sync_requests


class SyncCursor(NamedTuple):
    """The place of a sync among all of a clinic's, which go from new to old."""

    created_at: datetime
    sync_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSync:
    """A sync of one clinic.

    Attributes:
        is_request: Whether a client of the API requested it; otherwise it is one audit, whose
            id it has.
        run_id: The Dagster run; None while it is not known.
        created_at: Aware UTC; when it was requested, or began.
        audits: What its run did for the clinic, oldest first.
        deleted_cases: The cases that these soft-deleted, in that order; only for a sync that was
            read by its id.
    """

    id: UUID
    scope: Scope
    window: DateRange
    is_request: bool
    run_id: str | None
    created_at: datetime
    audits: tuple[Audit, ...]
    deleted_cases: tuple[UUID, ...] = ()

    @property
    def place(self) -> SyncCursor:
        """Its place in the list."""
        return SyncCursor(self.created_at, self.id)


_AUDITS = case_sync_audits
_REQUEST = tuple(
    sync_requests.c[name].label(f"request_{name}")
    for name in ("id", "scope", "window_start", "window_end", "run_id", "created_at")
)


# Clients poll it: built once, not at every request.
_FIND_REQUEST = (
    select(_AUDITS, *_REQUEST)
    .select_from(sync_requests)
    .outerjoin(
        _AUDITS,
        and_(
            _AUDITS.c.run_id == sync_requests.c.run_id,
            _AUDITS.c.clinic_id == sync_requests.c.clinic_id,
        ),
    )
    .where(
        sync_requests.c.id == bindparam("sync_id"),
        sync_requests.c.clinic_id == bindparam("clinic_id"),
    )
    .order_by(_AUDITS.c.created_at, _AUDITS.c.id)
)
_FIND_AUDIT = select(_AUDITS).where(
    _AUDITS.c.id == bindparam("sync_id"), _AUDITS.c.clinic_id == bindparam("clinic_id")
)


def find_sync(connection: Connection, clinic_id: UUID, sync_id: UUID) -> StoredSync | None:
    """The clinic's sync with that id: a request, or else an audit."""
    wanted = {"clinic_id": clinic_id, "sync_id": sync_id}
    rows = connection.execute(_FIND_REQUEST, wanted).all()
    if rows:
        audits = [audit_of(row) for row in rows if row.id is not None]
        return _requested(rows[0], audits, _deleted_in(connection, audits))
    row = connection.execute(_FIND_AUDIT, wanted).one_or_none()
    if row is None:
        return None
    audit = audit_of(row)
    return _unrequested(audit, _deleted_in(connection, [audit]))


def _deleted_in(connection: Connection, audits: Sequence[Audit]) -> tuple[UUID, ...]:
    """The cases that the audits soft-deleted, in that order."""
    deleting = [audit.id for audit in audits if audit.counts.deleted]
    if not deleting:
        # The usual case.
        return ()
    table = case_events
    rows = connection.execute(
        select(table.c.audit_id, table.c.case_id)
        .where(table.c.audit_id.in_(deleting), table.c.kind == EventKind.SOFT_DELETED)
        .order_by(table.c.seq)
    ).all()
    return tuple(row.case_id for audit_id in deleting for row in rows if row.audit_id == audit_id)


# Each phase's newest, by the index of clinic, phase and time.
_NEWEST = text(
    """
    SELECT id, created_at FROM (
        SELECT id, created_at FROM sync_requests
        WHERE clinic_id = :clinic_id AND (created_at, id) < (:moment, :sync_id)
        ORDER BY created_at DESC, id DESC LIMIT :limit
    ) AS requests
    UNION ALL
    SELECT newest.id, newest.created_at
    FROM unnest(CAST(:phases AS text[])) AS phase CROSS JOIN LATERAL (
        SELECT audit.id, audit.created_at FROM case_sync_audits AS audit
        WHERE audit.clinic_id = :clinic_id AND audit.sync_type = phase
            AND (audit.created_at, audit.id) < (:moment, :sync_id)
            AND NOT EXISTS (
                SELECT FROM sync_requests AS request
                WHERE request.run_id = audit.run_id AND request.clinic_id = audit.clinic_id
            )
            AND NOT EXISTS (SELECT FROM sync_requests AS request WHERE request.id = audit.id)
        ORDER BY audit.created_at DESC, audit.id DESC LIMIT :limit
    ) AS newest
    ORDER BY created_at DESC, id DESC LIMIT :limit
    """
)

_BEFORE_ALL = SyncCursor(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


def list_syncs(
    connection: Connection, clinic_id: UUID, *, limit: int, after: SyncCursor | None = None
) -> list[StoredSync]:
    """The clinic's newest syncs, newest first; without what they deleted.

    Args:
        connection: In a transaction.
        clinic_id: Whose.
        limit: How many at most.
        after: Only those that come after this place, which are older.
    """
    moment, sync_id = after or _BEFORE_ALL
    wanted = {
        "clinic_id": clinic_id,
        "moment": moment,
        "sync_id": sync_id,
        "limit": limit,
        "phases": [str(phase) for phase in Phase],
    }
    ids = [row.id for row in connection.execute(_NEWEST, wanted)]
    requests = connection.execute(
        select(*_REQUEST).where(sync_requests.c.id.in_(ids), sync_requests.c.clinic_id == clinic_id)
    ).all()
    run_ids = [row.request_run_id for row in requests if row.request_run_id is not None]
    audits = [
        audit_of(row)
        for row in connection.execute(
            select(_AUDITS)
            .where(
                _AUDITS.c.clinic_id == clinic_id,
                or_(_AUDITS.c.id.in_(ids), _AUDITS.c.run_id.in_(run_ids)),
            )
            .order_by(_AUDITS.c.created_at, _AUDITS.c.id)
        )
    ]
    syncs = {audit.id: _unrequested(audit) for audit in audits}
    for row in requests:
        done = [audit for audit in audits if audit.run_id == row.request_run_id]
        syncs[row.request_id] = _requested(row, done)
    return [syncs[each] for each in ids]


def _requested(
    row: Row[*tuple[object, ...]], audits: list[Audit], deleted: tuple[UUID, ...] = ()
) -> StoredSync:
    return StoredSync(
        id=row.request_id,
        scope=row.request_scope,
        window=DateRange(row.request_window_start, row.request_window_end),
        is_request=True,
        run_id=row.request_run_id,
        created_at=row.request_created_at,
        audits=tuple(audits),
        deleted_cases=deleted,
    )


def _unrequested(audit: Audit, deleted: tuple[UUID, ...] = ()) -> StoredSync:
    return StoredSync(
        id=audit.id,
        scope=audit.sync_type.names.scope,
        window=audit.window,
        is_request=False,
        run_id=audit.run_id,
        created_at=audit.created_at,
        audits=(audit,),
        deleted_cases=deleted,
    )
