"""Retrying a failure: which phase runs, and the outcome for the record."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.deactivation import ClinicDeactivated
from pims_pipeline.domain.failures import FailureStatus
from pims_pipeline.domain.phases import Phase, Scope
from pims_pipeline.operations.clinics import deactivate
from pims_pipeline.operations.failures import (
    NotRetryable,
    RetryOutcome,
    find_failure,
    retry_failure,
)
from pims_pipeline.operations.runs import RunResult
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_failures
from pims_pipeline_tests.operations.dates import EARLIEST, TODAY

DONE = RunResult("run-1", [], None)


def never(scope: Scope, clinic: Clinic, window: DateRange) -> RunResult:
    raise AssertionError(f"{scope} of {clinic.slug} was run for {window}")


def test_the_phase_is_run_for_the_record_s_date(engine: Engine, failure_id: UUID) -> None:
    requested: list[tuple[Scope, str, DateRange]] = []

    def run(scope: Scope, clinic: Clinic, window: DateRange) -> RunResult:
        requested.append((scope, clinic.slug, window))
        with transaction(engine) as connection:
            resolve_failures(connection, clinic, Phase.CASES, ["A-1"], datetime.now(UTC))
        return DONE

    done = retry_failure(engine, failure_id, earliest=EARLIEST, run_phase=run)

    assert requested == [("cases", "maple-street", DateRange(TODAY, TODAY))]
    assert (done.outcome, done.why_untried) == (RetryOutcome.RESOLVED, None)
    assert done.failure.status is FailureStatus.RESOLVED


def test_a_retry_distinguishes_another_failure_from_a_record_that_was_not_tried(
    engine: Engine, failure_id: UUID
) -> None:
    def fail(_: Scope, clinic: Clinic, __: DateRange) -> RunResult:
        again = FailureInput(record_key="A-1", error_class="OtherError", error_message="no")
        with transaction(engine) as connection:
            record_failures(connection, clinic, Phase.CASES, [again], datetime.now(UTC))
        return DONE

    failed = retry_failure(engine, failure_id, earliest=EARLIEST, run_phase=fail)
    untried = retry_failure(
        engine, failure_id, earliest=EARLIEST, run_phase=lambda *_: RunResult("r", [], "stopped")
    )

    assert (failed.outcome, failed.why_untried) == (RetryOutcome.FAILED, None)
    assert (untried.outcome, untried.why_untried) == (RetryOutcome.UNTRIED, "stopped")


def test_a_retry_that_is_refused_leaves_the_failure_as_it_was(
    engine: Engine, ready: Clinic, failure_id: UUID
) -> None:
    before = find_failure(engine, failure_id)
    later = TODAY + timedelta(days=366)

    with pytest.raises(NotRetryable):
        retry_failure(engine, failure_id, earliest=later, run_phase=never)
    deactivate(engine, ready.slug)
    with pytest.raises(ClinicDeactivated):
        retry_failure(engine, failure_id, earliest=EARLIEST, run_phase=never)

    assert find_failure(engine, failure_id) == before
    assert before.status is FailureStatus.DEAD
