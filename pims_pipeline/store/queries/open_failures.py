"""Open failures and dead letters: what each is, and how many there are.

The one definition of both:

- An *open failure* is a record that failed and has neither been read or fetched since, nor gone.
- A *dead letter* is an open failure that only an operator, or a change at the vendor, can resolve:
  no fetch of it is due any more. A record of a listing that could not be read is one at once.

Status shows both, metrics and the daily report count open failures, alerts name dead letters.
Writing and listing failures is in ``failures``.
"""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.alerts import DeadLetter
from pims_pipeline.domain.failures import MAX_ATTEMPTS
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import is_synced
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.syncs import sync_failures

OPEN_FAILURE = "f.resolved_at IS NULL"
"""The condition of an open failure, in any statement that names ``sync_failures AS f``."""


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """How many failures a clinic has; the dead letters are among the open ones."""

    open_failures: int = 0
    dead_letters: int = 0


def is_open() -> ColumnElement[bool]:
    """Whether a row of ``sync_failures`` is an open failure."""
    return sync_failures.c.resolved_at.is_(None)


def is_dead_letter(max_attempts: int = MAX_ATTEMPTS) -> ColumnElement[bool]:
    """Whether a row of ``sync_failures`` is a dead letter.

    Also while an operator retries it: it is one until it has been read or fetched.
    """
    table = sync_failures
    given_up = or_(table.c.next_retry_at.is_(None), table.c.attempts >= max_attempts)
    return and_(is_open(), given_up)


def failure_counts(
    connection: Connection, max_attempts: int = MAX_ATTEMPTS
) -> dict[UUID, FailureCounts]:
    """How many failures each clinic has; those that have none are left out."""
    table = sync_failures
    rows = connection.execute(
        select(
            table.c.clinic_id,
            func.count(),
            func.count().filter(is_dead_letter(max_attempts)),
        )
        .where(is_open())
        .group_by(table.c.clinic_id)
    )
    return {clinic_id: FailureCounts(*counts) for clinic_id, *counts in rows}


def dead_letters(
    connection: Connection, max_attempts: int = MAX_ATTEMPTS
) -> dict[UUID, list[DeadLetter]]:
    """The dead letters of each active clinic, oldest first."""
    table = sync_failures
    found = defaultdict[UUID, list[DeadLetter]](list)
    rows = connection.execute(
        select(table.c.id, table.c.clinic_id, table.c.phase, table.c.attempts, table.c.error_class)
        .join(clinics, clinics.c.id == table.c.clinic_id)
        .where(is_synced(), is_dead_letter(max_attempts))
        .order_by(table.c.first_failed_at, table.c.id)
    )
    for row in rows:
        letter = DeadLetter(
            id=row.id,
            phase=Phase(row.phase),
            attempts=row.attempts,
            error_class=row.error_class,
        )
        found[row.clinic_id].append(letter)
    return found
