"""Failures: records that could not be read or fetched, and an operator's retry of one.

Automatic retries belong to the phases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Scope
from pims_pipeline.operations.clinics import check_syncable
from pims_pipeline.operations.runs import RunResult
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import (
    ClinicFailure,
    Failure,
    failure_by_id,
    list_failures,
    make_due,
)
from pims_pipeline.sync.results import sync_result
from pims_pipeline.sync.windows import OutsidePartitions, check_window


class NotRetryable(UserFacingError):
    """The dates of the failure are not known, or cannot be synced."""


class RetryOutcome(StrEnum):
    """The outcome of a retry.

    Attributes:
        RESOLVED: The record succeeded.
        FAILED: The record failed again.
        UNTRIED: The run did not try the record.
    """

    RESOLVED = "resolved"
    FAILED = "failed"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A failure that was retried.

    Attributes:
        failure: The failure after the retry.
        run: The run that retried it.
        why_untried: Why the run did not try it; None when it did.
    """

    failure: ClinicFailure
    run: RunResult
    outcome: RetryOutcome
    why_untried: str | None = None


def find_failures(engine: Engine, slug: str | None, *, open_only: bool) -> list[ClinicFailure]:
    """The failures of one clinic, or of all if ``slug`` is None, the latest first.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug) if slug else None
        return list_failures(connection, clinic=clinic, open_only=open_only)


def find_failure(engine: Engine, failure_id: UUID) -> ClinicFailure:
    """The failure, open or resolved.

    Raises:
        UnknownFailure: If the failure does not exist.
    """
    with transaction(engine) as connection:
        return failure_by_id(connection, failure_id)


def retry_failure(
    engine: Engine,
    failure_id: UUID,
    *,
    earliest: date,
    run_phase: Callable[[Scope, Clinic, DateRange], RunResult],
) -> Retry:
    """Retry a failure or dead letter now: run its phase for its clinic and dates.

    Args:
        engine: The database of cases.
        failure_id: Which failure.
        earliest: The first date that can be synced.
        run_phase: Runs a phase over a clinic's dates, and waits for the end.

    Raises:
        UnknownFailure: If the failure does not exist.
        FailureResolved: If it needs no retry.
        NotRetryable: If its dates are unknown or cannot be synced.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
    """
    now = check_clock(engine)
    with transaction(engine) as connection:
        before, clinic, window = made_due(connection, failure_id, earliest=earliest, now=now)
    run = run_phase(before.failure.phase.names.scope, clinic, window)
    after = find_failure(engine, failure_id)
    outcome = _outcome(before.failure, after.failure)
    why = _why_untried(after, run, window) if outcome is RetryOutcome.UNTRIED else None
    return Retry(failure=after, run=run, outcome=outcome, why_untried=why)


def made_due(
    connection: Connection, failure_id: UUID, *, earliest: date, now: datetime
) -> tuple[ClinicFailure, Clinic, DateRange]:
    """Make a failure due at ``now`` (aware); return it as it was, and what its phase runs over.

    An error rolls back the transaction, and so the change.

    Raises:
        UnknownFailure, FailureResolved, NotRetryable: See ``retry_failure``.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
    """
    before = make_due(connection, failure_id, now)
    clinic = clinic_by_slug(connection, before.clinic_slug)
    check_syncable(connection, clinic)
    return before, clinic, _dates(before, earliest, now.date())


def _dates(known: ClinicFailure, earliest: date, today: date) -> DateRange:
    """The dates to run the phase for."""
    if known.dates is None:
        raise NotRetryable(
            f"the date of failure {known.failure.id} is unknown; sync the dates it may have "
            f"with `pims sync {known.failure.phase.names.scope} --clinic {known.clinic_slug}`"
        )
    try:
        check_window(earliest, known.dates, today)
    except OutsidePartitions as error:
        raise NotRetryable(str(error)) from error
    return known.dates


def _outcome(before: Failure, after: Failure) -> RetryOutcome:
    if after.resolved_at is not None:
        return RetryOutcome.RESOLVED
    return RetryOutcome.FAILED if after.attempts > before.attempts else RetryOutcome.UNTRIED


def _why_untried(known: ClinicFailure, run: RunResult, window: DateRange) -> str:
    scope = known.failure.phase.names.scope
    result = sync_result(scope, run.audits, window, now=datetime.now(UTC), error=run.problem)
    if result.reason is not None:
        return result.reason
    case = f"; `pims cases show {known.case_id}` shows its case" if known.case_id else ""
    return f"no consultation is due for its appointment in {window}{case}"
