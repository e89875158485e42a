"""Every reader has the same definition of open failures and dead letters."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.failures import MAX_ATTEMPTS
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.failures import (
    FailureInput,
    list_failures,
    open_failures,
    record_failures,
    resolve_failures,
)
from pims_pipeline.store.queries.clinic_status import clinic_states
from pims_pipeline.store.queries.metrics import clinic_readings
from pims_pipeline.store.queries.open_failures import FailureCounts, dead_letters

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
OPEN = {"tried again", "given up", "unreadable", "tried again by a person"}
DEAD = OPEN - {"tried again"}


def fail(
    engine: Engine,
    clinic: Clinic,
    key: str,
    *,
    phase: Phase = Phase.CASES,
    retry_at: datetime | None = None,
    times: int = 1,
) -> None:
    failed = FailureInput(
        record_key=key,
        error_class="TransientError",
        error_message="the vendor answered 503",
        next_retry_at=retry_at,
    )
    with transaction(engine) as connection:
        for _ in range(times):
            record_failures(connection, clinic, phase, [failed], NOW)


def test_status_lists_alerts_and_metrics_agree_on_what_is_open_and_what_is_dead(
    engine: Engine, clinic: Clinic
) -> None:
    soon = NOW + timedelta(minutes=5)
    fail(engine, clinic, "fetched")
    fail(engine, clinic, "tried again", retry_at=soon, times=MAX_ATTEMPTS - 1)
    fail(engine, clinic, "given up")
    fail(engine, clinic, "unreadable", phase=Phase.INBOUND)
    fail(engine, clinic, "tried again by a person", retry_at=soon, times=MAX_ATTEMPTS)
    api = create_engine(let_api_log_in(engine), pool_size=1)
    with transaction(engine) as connection:
        resolve_failures(connection, clinic, Phase.CASES, ["fetched"], NOW)
        listed = list_failures(connection)
        still_open = [each for phase in Phase for each in open_failures(connection, clinic, phase)]
        [state] = clinic_states(connection, NOW)
        letters = dead_letters(connection)[clinic.id]
    with transaction(api) as connection:
        [reading] = clinic_readings(connection)
    api.dispose()

    assert {each.failure.record_key for each in listed} == OPEN
    assert {each.record_key for each in still_open} == OPEN
    dead = {each.failure.id: each.failure.record_key for each in listed if each.is_dead_letter}
    assert set(dead.values()) == DEAD
    assert {letter.id for letter in letters} == set(dead)
    assert state.failures == FailureCounts(open_failures=len(OPEN), dead_letters=len(DEAD))
    assert reading.open_failures == len(OPEN)
