"""Dead letters: records that could not be read, visits whose record could not be fetched.

A failure is open until it is resolved. A record has at most one open failure a phase;
failing again adds an attempt to it. When to try again is decided by the phases.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, Row, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import SyncType
from pims_pipeline.store.tables import sync_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInput:
    """A record that failed just now.

    Attributes:
        record_key: What names the record across attempts; its identity where known.
        error_message: Without personal data.
        business_date: The date it stands on, where that could be read.
        window: The window that was worked on.
        next_retry_at: Aware; None when only a person or a new listing can help.
    """

    record_key: str
    error_class: str
    error_message: str
    pims_id: str | None = None
    business_date: date | None = None
    window: DateRange | None = None
    next_retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An open failure. Moments are aware UTC; see ``FailureInput`` for the rest."""

    id: UUID
    phase: SyncType
    record_key: str
    pims_id: str | None
    business_date: date | None
    window: DateRange | None
    attempts: int
    error_class: str
    error_message: str
    first_failed_at: datetime
    last_failed_at: datetime
    next_retry_at: datetime | None


def _open(clinic: Clinic, phase: SyncType) -> ColumnElement[bool]:
    return and_(
        sync_failures.c.clinic_id == clinic.id,
        sync_failures.c.provider_type == clinic.provider_type,
        sync_failures.c.phase == phase,
        sync_failures.c.resolved_at.is_(None),
    )


def record_failures(
    connection: Connection,
    clinic: Clinic,
    phase: SyncType,
    failures: Iterable[FailureInput],
    now: datetime,
) -> None:
    """Open a failure for each record, or add an attempt to the one that is open.

    A record given twice counts once; its last word stands.
    """
    last_words = {failure.record_key: failure for failure in failures}
    if not last_words:
        return
    # Always in the same order, so that two writers wait for each other and never lock up.
    rows = [
        _row(clinic, phase, failure, now)
        for _, failure in sorted(last_words.items(), key=lambda item: item[0])
    ]
    statement = insert(sync_failures)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["clinic_id", "provider_type", "phase", "record_key"],
            index_where=sync_failures.c.resolved_at.is_(None),
            set_={
                "attempts": sync_failures.c.attempts + 1,
                "pims_id": func.coalesce(new.pims_id, sync_failures.c.pims_id),
                "business_date": func.coalesce(new.business_date, sync_failures.c.business_date),
                "window_start": new.window_start,
                "window_end": new.window_end,
                "error_class": new.error_class,
                "error_message": new.error_message,
                "last_failed_at": new.last_failed_at,
                "next_retry_at": new.next_retry_at,
            },
        ),
        rows,
    )


def _row(
    clinic: Clinic, phase: SyncType, failure: FailureInput, now: datetime
) -> dict[str, object]:
    return {
        "clinic_id": clinic.id,
        "provider_type": clinic.provider_type,
        "phase": phase.value,
        "record_key": failure.record_key,
        "pims_id": failure.pims_id,
        "business_date": failure.business_date,
        "window_start": failure.window.start if failure.window else None,
        "window_end": failure.window.end if failure.window else None,
        "error_class": failure.error_class,
        "error_message": failure.error_message,
        "first_failed_at": now,
        "last_failed_at": now,
        "next_retry_at": failure.next_retry_at,
    }


def resolve_failures(
    connection: Connection,
    clinic: Clinic,
    phase: SyncType,
    record_keys: Collection[str],
    now: datetime,
) -> None:
    """Close the open failures of these records: they have succeeded."""
    connection.execute(
        update(sync_failures)
        .where(_open(clinic, phase), sync_failures.c.record_key.in_(record_keys))
        .values(resolved_at=now, next_retry_at=None)
    )


def resolve_unseen(  # noqa: PLR0917 - the order of its siblings, with the window in it
    connection: Connection,
    clinic: Clinic,
    phase: SyncType,
    window: DateRange,
    still_failing: Collection[str],
    now: datetime,
) -> None:
    """Close the window's open failures that did not happen again.

    A failure belongs to the window when its business date lies in it, or, where no date
    is known, when the whole window it was found in does. Failures of the records named by
    ``still_failing`` stay open.
    """
    first = func.coalesce(sync_failures.c.business_date, sync_failures.c.window_start)
    last = func.coalesce(sync_failures.c.business_date, sync_failures.c.window_end)
    connection.execute(
        update(sync_failures)
        .where(
            _open(clinic, phase),
            first >= window.start,
            last <= window.end,
            sync_failures.c.record_key.not_in(still_failing),
        )
        .values(resolved_at=now, next_retry_at=None)
    )


def open_failures(connection: Connection, clinic: Clinic, phase: SyncType) -> list[Failure]:
    """The phase's open failures, oldest first."""
    table = sync_failures
    rows = connection.execute(
        select(table)
        .where(_open(clinic, phase))
        .order_by(table.c.first_failed_at, table.c.record_key)
    )
    return [_failure(row) for row in rows]


def _failure(row: Row[*tuple[object, ...]]) -> Failure:
    window = DateRange(row.window_start, row.window_end) if row.window_start else None
    return Failure(
        id=row.id,
        phase=SyncType(row.phase),
        record_key=row.record_key,
        pims_id=row.pims_id,
        business_date=row.business_date,
        window=window,
        attempts=row.attempts,
        error_class=row.error_class,
        error_message=row.error_message,
        first_failed_at=row.first_failed_at,
        last_failed_at=row.last_failed_at,
        next_retry_at=row.next_retry_at,
    )
