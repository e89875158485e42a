"""Failures: records that could not be read, appointments whose record could not be fetched.

A failure is open until it is resolved. A record has at most one open failure per phase; another
failure adds an attempt to it. The phases decide when to retry. ``queries/open_failures.py`` defines
what counts as open and what as a dead letter.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.failures import FailureStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.queries.open_failures import is_dead_letter, is_open
from pims_pipeline.store.tables.cases import cases
from pims_pipeline.store.tables.clinics import clinics
from pims_pipeline.store.tables.syncs import sync_failures


class UnknownFailure(UserFacingError):
    """There is no such failure."""


class FailureResolved(UserFacingError):
    """The failure is resolved, so it needs no retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInput:
    """A record that failed.

    Attributes:
        record_key: Names the record across attempts; its identity where known.
        error_message: Without personal data.
        business_date: Its date, where that could be read.
        window: The window in which it was found.
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
    """A failure. Times are aware UTC; see ``FailureInput`` for the rest.

    Attributes:
        resolved_at: None while it is open.
    """

    id: UUID
    phase: Phase
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
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClinicFailure:
    """A failure with its clinic and case, as operators see it.

    Attributes:
        is_dead_letter: Whether only a person, or a change at the vendor, can resolve it.
        case_id: The case of the record's appointment, if there is one.
        case_date: The present business date of that case.
    """

    clinic_slug: str
    failure: Failure
    is_dead_letter: bool
    case_id: UUID | None
    case_date: date | None

    @property
    def status(self) -> FailureStatus:
        """Whether the record succeeded since, is a dead letter, or is retried."""
        if self.failure.resolved_at is not None:
            return FailureStatus.RESOLVED
        return FailureStatus.DEAD if self.is_dead_letter else FailureStatus.OPEN

    @property
    def dates(self) -> DateRange | None:
        """The dates that a retry has to cover; None when they are not known.

        A consultation is requested for the present date of its case. A record that could not
        be read is in the window in which it was found, also when its date was misread.
        """
        failure = self.failure
        day, window = failure.business_date, failure.window
        if failure.phase is Phase.CASES:
            day = self.case_date or day
        elif window is not None and day not in window:
            day = None
        return DateRange(day, day) if day else window


def _open(clinic: Clinic, phase: Phase) -> ColumnElement[bool]:
    return and_(
        sync_failures.c.clinic_id == clinic.id,
        sync_failures.c.provider_type == clinic.provider_type,
        sync_failures.c.phase == phase,
        is_open(),
    )


def record_failures(
    connection: Connection,
    clinic: Clinic,
    phase: Phase,
    failures: Iterable[FailureInput],
    now: datetime,
) -> None:
    """Open a failure for each record, or add an attempt to the one that is open.

    A record given twice counts once, with its last values.
    """
    last_words = {failure.record_key: failure for failure in failures}
    if not last_words:
        return
    # Always in the same order, so that two writers never deadlock.
    rows = [
        _row(clinic, phase, failure, now)
        for _, failure in sorted(last_words.items(), key=lambda item: item[0])
    ]
    statement = insert(sync_failures)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["clinic_id", "provider_type", "phase", "record_key"],
            index_where=is_open(),
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


def _row(clinic: Clinic, phase: Phase, failure: FailureInput, now: datetime) -> dict[str, object]:
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
    phase: Phase,
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
    phase: Phase,
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


def open_failures(connection: Connection, clinic: Clinic, phase: Phase) -> list[Failure]:
    """The phase's open failures, oldest first."""
    table = sync_failures
    rows = connection.execute(
        select(table)
        .where(_open(clinic, phase))
        .order_by(table.c.first_failed_at, table.c.record_key)
    )
    return [_failure(row) for row in rows]


def list_failures(
    connection: Connection, *, clinic: Clinic | None = None, open_only: bool = True
) -> list[ClinicFailure]:
    """Failures, the latest to fail first; of one clinic or all, open or also resolved."""
    table = sync_failures
    query = _listed().order_by(table.c.last_failed_at.desc(), table.c.id)
    chosen = query.where(*_chosen(clinic, open_only=open_only))
    return [_clinic_failure(row) for row in connection.execute(chosen)]


def failures_part(
    connection: Connection, *, clinic: Clinic | None, open_only: bool, skip: int, limit: int
) -> list[ClinicFailure]:
    """Some of the same failures: dead letters first, then the latest to fail.

    Args:
        connection: In a transaction.
        clinic: None for all.
        open_only: Whether to leave resolved ones out.
        skip: How many of the first to leave out.
        limit: How many to return.
    """
    table = sync_failures
    order = (is_dead_letter().desc(), table.c.last_failed_at.desc(), table.c.id)
    query = _listed().where(*_chosen(clinic, open_only=open_only)).order_by(*order)
    return [_clinic_failure(row) for row in connection.execute(query.offset(skip).limit(limit))]


def count_failures(connection: Connection, *, clinic: Clinic | None, open_only: bool) -> int:
    """The number of failures; see ``list_failures``."""
    chosen = select(func.count()).select_from(sync_failures)
    return connection.scalar(chosen.where(*_chosen(clinic, open_only=open_only))) or 0


def _chosen(clinic: Clinic | None, *, open_only: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if clinic is not None:
        conditions.append(sync_failures.c.clinic_id == clinic.id)
    if open_only:
        conditions.append(is_open())
    return conditions


def failure_by_id(connection: Connection, failure_id: UUID, *, lock: bool = False) -> ClinicFailure:
    """The failure, open or resolved.

    Args:
        connection: In a transaction.
        failure_id: Which failure.
        lock: Whether to lock it against other changes until the transaction ends.

    Raises:
        UnknownFailure: If there is none.
    """
    query = _listed().where(sync_failures.c.id == failure_id)
    if lock:
        query = query.with_for_update(of=sync_failures)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownFailure(
            f"there is no failure {failure_id}; `pims failures list` shows those there are"
        )
    return _clinic_failure(row)


def make_due(connection: Connection, failure_id: UUID, now: datetime) -> ClinicFailure:
    """Make an open failure, also a dead letter, due for a retry at ``now`` (aware).

    Returns:
        The failure as it was before.

    Raises:
        UnknownFailure: If there is none.
        FailureResolved: If it is resolved.
    """
    known = failure_by_id(connection, failure_id, lock=True)
    if known.failure.resolved_at is not None:
        raise FailureResolved(
            f"failure {failure_id} was resolved on {known.failure.resolved_at:%Y-%m-%d %H:%M} UTC, "
            "so there is nothing to try again"
        )
    connection.execute(
        update(sync_failures).where(sync_failures.c.id == failure_id).values(next_retry_at=now)
    )
    return known


def _listed() -> Select[*tuple[object, ...]]:
    table = sync_failures
    return (
        select(
            table,
            clinics.c.slug,
            is_dead_letter().label("is_dead_letter"),
            cases.c.id.label("case_id"),
            cases.c.scheduled_date.label("case_date"),
        )
        .join(clinics, clinics.c.id == table.c.clinic_id)
        .outerjoin(
            cases,
            and_(
                cases.c.clinic_id == table.c.clinic_id,
                cases.c.provider_type == table.c.provider_type,
                cases.c.pims_id == table.c.pims_id,
            ),
        )
    )


def _clinic_failure(row: Row[*tuple[object, ...]]) -> ClinicFailure:
    return ClinicFailure(row.slug, _failure(row), row.is_dead_letter, row.case_id, row.case_date)


def _failure(row: Row[*tuple[object, ...]]) -> Failure:
    window = DateRange(row.window_start, row.window_end) if row.window_start else None
    return Failure(
        id=row.id,
        phase=Phase(row.phase),
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
        resolved_at=row.resolved_at,
    )
