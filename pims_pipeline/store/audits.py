"""Audits: what each phase did to each window.

Receipts and counts are the domain's. Which processes are alive, and what becomes of the audits
of dead ones, is in ``liveness``.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.oddities import Oddities, oddities_from_payload, oddities_payload
from pims_pipeline.store.database.leases import (
    lease_lost,
)
from pims_pipeline.store.tables.syncs import case_sync_audits


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One phase over one window of one clinic.

    Attributes:
        id: The ``syncId`` of the API.
        run_id: The Dagster run that did it.
        fetched_at: Aware UTC; when its listing was requested.
        changed_since: Aware UTC; if it fetched only what the vendor changed since then.
        items_done: Progress; of ``items_total``.
        created_at: Aware UTC; when it started.
        updated_at: Aware UTC; when it last changed.
        duration_ms: None while it is in progress, and if it was interrupted.
        oddities: Descriptive fields of the vendor that could not be read.
        error_class: The class of the error that it failed with; None unless it failed.
    """

    id: UUID
    clinic_id: UUID
    sync_type: Phase
    status: AuditStatus
    window: DateRange
    run_id: str
    counts: Counts
    items_done: int
    items_total: int
    fetched_at: datetime | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    duration_ms: int | None
    oddities: Oddities = ()
    error_class: str | None = None
    changed_since: datetime | None = None


def start_audit(
    connection: Connection,
    *,
    clinic: Clinic,
    sync_type: Phase,
    window: DateRange,
    run_id: str,
    owner: int,
    now: datetime,
    wanted_id: UUID | None = None,
) -> UUID:
    """Record that a phase over a window begins; gives the audit's id.

    Args:
        connection: In a transaction.
        clinic: Whose window it is.
        sync_type: The phase.
        window: The business dates.
        run_id: The Dagster run that does it.
        owner: ``Liveness.owner`` of this process.
        now: Aware UTC.
        wanted_id: The audit's id, unless another audit has it already: a run that is
            executed again carries the tags of the first one. An audit in progress with this
            id and owner is reused: the connection was lost after its commit.
    """
    wanted_id = wanted_id or uuid4()
    statement = insert(case_sync_audits).values(
        id=wanted_id,
        clinic_id=clinic.id,
        sync_type=sync_type,
        window_start=window.start,
        window_end=window.end,
        run_id=run_id,
        owner=owner,
        created_at=now,
        updated_at=now,
    )
    audit_id: UUID | None = connection.scalar(
        statement.on_conflict_do_nothing(index_elements=["id"]).returning(case_sync_audits.c.id)
    )
    if audit_id is None:
        table = case_sync_audits
        audit_id = connection.scalar(
            select(table.c.id).where(_is_in_progress(wanted_id), table.c.owner == owner)
        )
    if audit_id is None:
        audit_id = uuid4()
        connection.execute(statement.values(id=audit_id))
    return audit_id


def record_progress(
    connection: Connection, audit_id: UUID, done: int, total: int, now: datetime
) -> None:
    """Record the progress of the phase."""
    connection.execute(
        update(case_sync_audits)
        .where(_is_in_progress(audit_id))
        .values(items_done=done, items_total=total, updated_at=now)
    )


def finish_audit(
    connection: Connection,
    audit_id: UUID,
    *,
    status: AuditStatus,
    counts: Counts,
    fetched_at: datetime | None,
    now: datetime,
    oddities: Oddities = (),
    changed_since: datetime | None = None,
) -> None:
    """Record how the phase ended, unless it failed: see ``fail_audit``.

    For ``fetched_at`` and ``changed_since`` see ``Audit``.

    Raises:
        LeaseLost: If it is not in progress any more, such as interrupted.
    """
    ended = connection.execute(
        update(case_sync_audits)
        .where(_is_in_progress(audit_id))
        .values(
            status=status,
            fetched_at=fetched_at,
            changed_since=changed_since,
            updated_at=now,
            duration_ms=_milliseconds_until(now),
            oddities=oddities_payload(oddities),
            **_columns_of(counts),
        )
    )
    if not ended.rowcount:
        raise lease_lost()


def _is_in_progress(audit_id: UUID) -> ColumnElement[bool]:
    table = case_sync_audits
    return and_(table.c.id == audit_id, table.c.status == AuditStatus.IN_PROGRESS)


def audit_status(connection: Connection, audit_id: UUID) -> AuditStatus:
    """The status of the audit."""
    table = case_sync_audits
    found = connection.execute(select(table.c.status).where(table.c.id == audit_id)).scalar_one()
    return AuditStatus(found)


def fail_audit(
    connection: Connection, audit_id: UUID, message: str, now: datetime, *, error_class: str
) -> None:
    """Record that the phase failed, unless it ended before.

    Args:
        connection: In a transaction.
        audit_id: Its audit.
        message: For operators; without personal data.
        now: When it failed, aware.
        error_class: The name of the error's class, for programs.
    """
    connection.execute(
        update(case_sync_audits)
        .where(_is_in_progress(audit_id))
        .values(
            status=AuditStatus.FAILED,
            error_class=error_class,
            error_message=message,
            updated_at=now,
            duration_ms=_milliseconds_until(now),
        )
    )


def interrupt_audit(connection: Connection, audit_id: UUID, message: str, now: datetime) -> None:
    """Record that the phase was stopped; none of its work is written."""
    connection.execute(
        update(case_sync_audits)
        .where(
            case_sync_audits.c.id == audit_id,
            case_sync_audits.c.status == AuditStatus.IN_PROGRESS,
        )
        .values(status=AuditStatus.INTERRUPTED, error_message=message, updated_at=now)
    )


def _milliseconds_until(now: datetime) -> object:
    elapsed = func.extract("epoch", now - case_sync_audits.c.created_at)
    return func.greatest(0, func.round(elapsed * 1000))


def _columns_of(counts: Counts) -> dict[str, int]:
    return {
        "appointments_found": counts.found,
        "cases_created": counts.created,
        "cases_updated": counts.updated,
        "cases_unchanged": counts.unchanged,
        "cases_restored": counts.restored,
        "cases_deleted": counts.deleted,
        "cases_enriched": counts.enriched,
        # Blocks and rosters make no case: to a client of the API they were skipped.
        "cases_skipped": counts.skipped + counts.blocked,
        "cases_blocked": counts.blocked,
        "cases_errored": counts.errored,
        "cases_held": counts.held,
        "cases_left_out": counts.left_out,
        "quarantined": counts.quarantined,
    }


def audit_of(row: Row[*tuple[object, ...]]) -> Audit:
    """The audit of a row; other columns of the row are ignored."""
    return Audit(
        id=row.id,
        clinic_id=row.clinic_id,
        sync_type=Phase(row.sync_type),
        status=AuditStatus(row.status),
        window=DateRange(row.window_start, row.window_end),
        run_id=row.run_id,
        counts=Counts(
            found=row.appointments_found,
            created=row.cases_created,
            updated=row.cases_updated,
            unchanged=row.cases_unchanged,
            restored=row.cases_restored,
            deleted=row.cases_deleted,
            enriched=row.cases_enriched,
            skipped=row.cases_skipped - row.cases_blocked,
            blocked=row.cases_blocked,
            errored=row.cases_errored,
            held=row.cases_held,
            left_out=row.cases_left_out,
            quarantined=row.quarantined,
        ),
        items_done=row.items_done,
        items_total=row.items_total,
        fetched_at=row.fetched_at,
        error_message=row.error_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
        duration_ms=row.duration_ms,
        oddities=oddities_from_payload(row.oddities),
        error_class=row.error_class,
        changed_since=row.changed_since,
    )


def _read(connection: Connection, query: Select[*tuple[object, ...]]) -> list[Audit]:
    return [audit_of(row) for row in connection.execute(query)]


def audit_by_id(connection: Connection, audit_id: UUID) -> Audit | None:
    """The audit with that id, if there is one."""
    found = _read(connection, select(case_sync_audits).where(case_sync_audits.c.id == audit_id))
    return found[0] if found else None


def audits_of_run(connection: Connection, run_id: str) -> list[Audit]:
    """The audits of a run, oldest first."""
    table = case_sync_audits
    return _read(
        connection,
        select(table).where(table.c.run_id == run_id).order_by(table.c.created_at, table.c.id),
    )


def latest_audits(connection: Connection, clinic_id: UUID) -> list[Audit]:
    """The clinic's newest audit of each phase, by the phase's name."""
    table = case_sync_audits
    return _read(
        connection,
        select(table)
        .ext(distinct_on(table.c.sync_type))
        .where(table.c.clinic_id == clinic_id)
        .order_by(table.c.sync_type, table.c.created_at.desc()),
    )
