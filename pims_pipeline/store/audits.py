"""Audits: what each phase did to each window; and how a killed run is told from a slow one.

A process that works on audits holds a *liveness* lock in the database: an advisory lock
with a random number, which its audits carry as ``owner``. PostgreSQL lets go of the lock
when the process dies, however it dies; an audit in progress whose lock can be taken was
therefore left behind. Receipts and counts themselves are the domain's.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Row, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import DBAPIError, OperationalError

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.oddities import Oddities, oddities_from_payload, oddities_payload
from pims_pipeline.domain.outcome import AuditStatus, Counts, SyncType
from pims_pipeline.store.database import LIVENESS_LOCK, unavailable
from pims_pipeline.store.tables import case_sync_audits

_LARGEST_INT4 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Liveness:
    """Proof to other processes that this one is still going.

    Attributes:
        owner: The number of the lock that is held; positive.
    """

    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One phase over one window of one clinic.

    Attributes:
        id: The ``syncId`` of the API.
        run_id: The Dagster run that did it.
        fetched_at: Aware UTC; when the listing it worked on was asked for.
        items_done: Progress; of ``items_total``.
        created_at: Aware UTC; when it started.
        updated_at: Aware UTC; when it last moved.
        duration_ms: None until it ended, and for ever if it was interrupted.
        oddities: Descriptive fields of the vendor's that could not be read.
    """

    id: UUID
    clinic_id: UUID
    sync_type: SyncType
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


@contextmanager
def run_liveness(engine: Engine) -> Iterator[Liveness]:
    """Show other processes that this one is going, for as long as the block runs.

    Keeps one connection, with a transaction that reads and writes nothing: only so does
    the lock hold through a pooler in transaction mode.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise unavailable(engine.url, error) from None
    with connection:
        owner = _random_number()
        while not _takes(connection, owner):
            owner = _random_number()
        # Some hosts end transactions that idle; this one idles by design. It comes last:
        # a statement without parameters also lets go of the snapshot of the one before,
        # which would keep every row deleted since from being cleaned up.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield Liveness(owner)
        with suppress(DBAPIError):  # a connection that broke took the lock with it
            connection.rollback()


def _random_number() -> int:
    return secrets.randbelow(_LARGEST_INT4) + 1


def _takes(connection: Connection, owner: int) -> bool:
    taken = connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:kind, :owner)"),
        {"kind": LIVENESS_LOCK, "owner": owner},
    )
    return bool(taken)


def interrupt_orphans(connection: Connection, clinic_id: UUID, now: datetime) -> list[UUID]:
    """Mark the clinic's audits whose process died as interrupted.

    Returns:
        Their ids.
    """
    table = case_sync_audits
    in_progress = (table.c.clinic_id == clinic_id, table.c.status == AuditStatus.IN_PROGRESS)
    owners = connection.scalars(select(table.c.owner).where(*in_progress).distinct()).all()
    dead = [owner for owner in owners if _takes(connection, owner)]
    if not dead:
        return []
    marked = connection.scalars(
        update(table)
        .where(*in_progress, table.c.owner.in_(dead))
        .values(
            status=AuditStatus.INTERRUPTED,
            error_message="the process that did it ended before it was done",
            updated_at=now,
        )
        .returning(table.c.id)
    )
    return list(marked)


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What a run's audits tell of its process.

    Attributes:
        is_held: Whether the process is there and holds its lock.
        last_moved: Aware UTC; when one of the audits last moved.
    """

    is_held: bool
    last_moved: datetime


def signs_of_life(connection: Connection, run_ids: Iterable[str]) -> dict[str, SignOfLife]:
    """By run, whether its process is still there; nothing of runs that have no audits yet."""
    table = case_sync_audits
    rows = connection.execute(
        select(table.c.run_id, table.c.owner, func.max(table.c.updated_at))
        .where(table.c.run_id.in_(list(run_ids)))
        .group_by(table.c.run_id, table.c.owner)
    ).all()
    found: dict[str, SignOfLife] = {}
    for run_id, owner, moved in rows:
        held = not _takes(connection, owner)
        before = found.get(run_id, SignOfLife(is_held=False, last_moved=moved))
        found[run_id] = SignOfLife(before.is_held or held, max(before.last_moved, moved))
    return found


def start_audit(
    connection: Connection,
    *,
    clinic: Clinic,
    sync_type: SyncType,
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
            executed again carries the tags of the first one.
    """
    statement = insert(case_sync_audits).values(
        id=wanted_id or uuid4(),
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
        audit_id = uuid4()
        connection.execute(statement.values(id=audit_id))
    return audit_id


def record_progress(
    connection: Connection, audit_id: UUID, done: int, total: int, now: datetime
) -> None:
    """Record how far the phase has come."""
    connection.execute(
        update(case_sync_audits)
        .where(case_sync_audits.c.id == audit_id)
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
    error_message: str | None = None,
    oddities: Oddities = (),
) -> None:
    """Record how the phase ended.

    ``fetched_at`` is when the listing it worked on was asked for, if it had one. The
    ``error_message`` must carry no personal data.
    """
    connection.execute(
        update(case_sync_audits)
        .where(case_sync_audits.c.id == audit_id)
        .values(
            status=status,
            fetched_at=fetched_at,
            error_message=error_message,
            updated_at=now,
            duration_ms=_milliseconds_until(now),
            oddities=oddities_payload(oddities),
            **_columns_of(counts),
        )
    )


def fail_audit(connection: Connection, audit_id: UUID, message: str, now: datetime) -> None:
    """Record that the phase failed; ``message`` must carry no personal data."""
    connection.execute(
        update(case_sync_audits)
        .where(case_sync_audits.c.id == audit_id)
        .values(
            status=AuditStatus.FAILED,
            error_message=message,
            updated_at=now,
            duration_ms=_milliseconds_until(now),
        )
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
        "quarantined": counts.quarantined,
    }


def audit_of(row: Row[*tuple[object, ...]]) -> Audit:
    """The audit that a row of its table holds, which may hold other columns too."""
    return Audit(
        id=row.id,
        clinic_id=row.clinic_id,
        sync_type=SyncType(row.sync_type),
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
    )


def _read(connection: Connection, query: Select[*tuple[object, ...]]) -> list[Audit]:
    return [audit_of(row) for row in connection.execute(query)]


def audit_by_id(connection: Connection, audit_id: UUID) -> Audit | None:
    """The audit with that id, if there is one."""
    found = _read(connection, select(case_sync_audits).where(case_sync_audits.c.id == audit_id))
    return found[0] if found else None


def audits_of_run(connection: Connection, run_id: str) -> list[Audit]:
    """What a run did, in the order it began to."""
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
