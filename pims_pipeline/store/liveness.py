"""Which processes that work on audits are alive; audits of the dead ones become ``interrupted``.

A process that works on audits holds a lease (``database/leases.py``), whose number its audits
carry as ``owner``. An audit in progress whose owner's lease has expired was left behind. Once
``interrupted``, it stays so: a process that wakes up late finds it ended, and writes nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, and_, exists, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.store.database.leases import (
    RUN_LEASE,
    LeaseTerms,
    end_expired_runs,
    run_lease,
)
from pims_pipeline.store.tables.operations import run_leases
from pims_pipeline.store.tables.syncs import case_sync_audits


@dataclass(frozen=True, slots=True)
class Liveness:
    """Proof to other processes that this one is alive.

    Attributes:
        owner: The number of its lease; positive.
    """

    owner: int


@contextmanager
def run_liveness(engine: Engine, terms: LeaseTerms = RUN_LEASE) -> Iterator[Liveness]:
    """Show other processes that this one is alive, while the block runs.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    with run_lease(engine, terms) as owner:
        yield Liveness(owner)


def interrupt_orphans(
    connection: Connection, clinic_id: UUID, now: datetime, *, but: int | None = None
) -> list[UUID]:
    """Mark the clinic's audits whose process died as interrupted.

    Args:
        connection: In a transaction.
        clinic_id: Whose audits.
        now: Aware UTC.
        but: The owner that calls this; it is alive, however late it renews its lease.

    Returns:
        Their ids.
    """
    of = case_sync_audits.c.clinic_id == clinic_id
    return _interrupt(connection, and_(of, case_sync_audits.c.owner.is_distinct_from(but)), now)


def interrupt_runs(connection: Connection, run_ids: Iterable[str], now: datetime) -> list[UUID]:
    """Mark the audits of these runs whose process died as interrupted; returns their ids."""
    return _interrupt(connection, case_sync_audits.c.run_id.in_(list(run_ids)), now)


def _interrupt(connection: Connection, of: ColumnElement[bool], now: datetime) -> list[UUID]:
    table = case_sync_audits
    in_progress = (of, table.c.status == AuditStatus.IN_PROGRESS)
    owners = connection.scalars(select(table.c.owner).where(*in_progress, ~_is_alive()).distinct())
    dead = end_expired_runs(connection, owners.all())
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


def _is_alive() -> ColumnElement[bool]:
    """Whether the audit's owner has a lease that has not expired."""
    return (
        exists()
        .where(
            run_leases.c.owner == case_sync_audits.c.owner,
            run_leases.c.expires_at > func.clock_timestamp(),
        )
        .correlate(case_sync_audits)
    )


@dataclass(frozen=True, slots=True)
class RunActivity:
    """What a run's audits show of its process.

    Attributes:
        is_held: Whether its process is alive and renews its lease.
        last_moved: Aware UTC; when one of the audits last changed.
    """

    is_held: bool
    last_moved: datetime


def run_activities(connection: Connection, run_ids: Iterable[str]) -> dict[str, RunActivity]:
    """By run, whether its process is alive; runs without audits are left out."""
    table = case_sync_audits
    rows = connection.execute(
        select(
            table.c.run_id,
            func.bool_or(_is_alive()).label("is_held"),
            func.max(table.c.updated_at).label("last_moved"),
        )
        .where(table.c.run_id.in_(list(run_ids)))
        .group_by(table.c.run_id)
    )
    return {row.run_id: RunActivity(row.is_held, row.last_moved) for row in rows}
