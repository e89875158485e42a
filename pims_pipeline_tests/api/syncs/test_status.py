"""The status of a sync, from its audits and the state of its run."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from pims_pipeline.api.dagster_client import RunState
from pims_pipeline.api.syncs.status import (
    AUDIT_TIMEOUT,
    LAUNCH_TIMEOUT,
    START_TIMEOUT,
    SyncProgress,
    SyncState,
    needs_run_state,
    sync_state_of,
)
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase, Scope
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline.sync.results import SyncResult

ASKED = datetime(2026, 3, 9, 14, tzinfo=UTC)
BEGAN = ASKED + timedelta(seconds=8)
MOVED = ASKED + timedelta(seconds=10)
NOW = ASKED + timedelta(seconds=11)
WINDOW = DateRange(date(2026, 3, 9), date(2026, 3, 16))
SYNC_ID = UUID(int=1)


def audit(
    phase: Phase = Phase.INBOUND,
    status: AuditStatus = AuditStatus.COMPLETED,
    *,
    window: DateRange = WINDOW,
    counts: Counts | None = None,
    items: tuple[int, int] = (0, 0),
    error: str | None = None,
) -> Audit:
    return Audit(
        id=uuid4(),
        clinic_id=UUID(int=2),
        sync_type=phase,
        status=status,
        window=window,
        run_id="run",
        counts=counts or Counts(),
        items_done=items[0],
        items_total=items[1],
        fetched_at=None,
        error_message=error,
        created_at=BEGAN,
        updated_at=MOVED,
        duration_ms=2000,
    )


def sync(
    *audits: Audit,
    scope: Scope = "inbound",
    run_id: str | None = "run",
    is_request: bool = True,
) -> StoredSync:
    return StoredSync(
        id=SYNC_ID,
        scope=scope,
        window=WINDOW,
        is_request=is_request,
        run_id=run_id,
        created_at=ASKED,
        audits=audits,
    )


def state_of(
    stored: StoredSync,
    run: RunState | None = None,
    *,
    now: datetime = NOW,
    steps: tuple[str, ...] = (),
) -> SyncState:
    return sync_state_of(stored, run, now=now, failed_steps=steps)


def result(state: SyncState) -> SyncResult:
    assert state.result is not None
    return state.result


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (None, "queued"),
        (RunState.CREATED, "queued"),
        (RunState.QUEUED, "queued"),
        (RunState.RUNNING, "running"),
    ],
)
def test_before_the_first_audit_the_run_decides(run: RunState | None, status: str) -> None:
    state = state_of(sync(), run)

    assert (state.status, state.has_ended, state.at) == (status, False, NOW)


@pytest.mark.parametrize(
    ("run", "steps", "text"),
    [
        (RunState.CANCELED, (), "the run was canceled"),
        (RunState.FAILED, (), "the run failed; see the Dagster UI"),
        (RunState.FAILED, ("appointments",), "the run failed at appointments; "),
        (RunState.GONE, (), "Dagster does not know the run any more"),
        (RunState.SUCCEEDED, (), "it did not run for the whole window"),
    ],
)
def test_a_run_that_ended_before_its_first_audit_failed(
    run: RunState, steps: tuple[str, ...], text: str
) -> None:
    state = state_of(sync(), run, steps=steps)

    assert state.status == "failed"
    assert state.error is not None
    assert state.error.startswith(text)
    assert result(state).error == state.error
    assert result(state).sync_id == SYNC_ID


def test_a_run_that_dagster_created_and_never_started_has_failed() -> None:
    waits = state_of(sync(), RunState.CREATED, now=ASKED + START_TIMEOUT)
    late = state_of(sync(), RunState.CREATED, now=ASKED + START_TIMEOUT + timedelta.resolution)

    assert (waits.status, late.status) == ("queued", "failed")


def test_a_sync_without_a_run_has_failed_after_the_launch_timeout() -> None:
    waits = state_of(sync(run_id=None), now=ASKED + LAUNCH_TIMEOUT)
    late = state_of(sync(run_id=None), now=ASKED + LAUNCH_TIMEOUT + timedelta.resolution)

    assert (waits.status, late.status) == ("queued", "failed")
    assert late.error == "it was not started: Dagster could not be reached"


@pytest.mark.parametrize("run", [None, RunState.RUNNING])
def test_while_an_audit_is_in_progress_it_runs_with_progress(run: RunState | None) -> None:
    done = audit(items=(9, 9))
    first_half, second_half = WINDOW.split(4)
    active = [
        audit(Phase.CASES, window=first_half, items=(5, 5)),
        audit(Phase.CASES, AuditStatus.IN_PROGRESS, window=second_half, items=(2, 8)),
    ]
    state = state_of(sync(done, *active, scope="full"), run)

    assert state.status == "running"
    assert state.progress == SyncProgress(Phase.CASES, 7, 13)
    assert state.result is None


def test_between_two_phases_it_runs() -> None:
    state = state_of(sync(audit(items=(9, 9)), scope="full"), RunState.RUNNING)

    assert (state.status, state.progress) == ("running", SyncProgress(Phase.INBOUND, 9, 9))


def test_after_its_last_audit_its_checks_still_run() -> None:
    assert state_of(sync(audit()), RunState.RUNNING).status == "running"
    assert state_of(sync(audit()), RunState.SUCCEEDED).status == "completed"


def test_the_state_of_an_ended_sync_no_longer_changes() -> None:
    first = state_of(sync(audit()), RunState.SUCCEEDED)
    later = state_of(sync(audit()), RunState.SUCCEEDED, now=NOW + timedelta(days=9))

    assert first.at == MOVED
    assert result(first).ended_at == MOVED
    assert (later.at, later.result) == (first.at, first.result)


def test_a_failed_check_fails_the_sync_whose_audits_are_all_complete() -> None:
    state = state_of(sync(audit()), RunState.FAILED, steps=("appointments_checks",))

    assert state.status == "failed"
    assert result(state).success is False
    assert "appointments_checks" in (state.error or "")


def test_the_error_of_an_audit_is_preferred_to_the_run_s() -> None:
    failed = audit(status=AuditStatus.FAILED, error="HumanNeeded: the vendor asks for a code")
    for scope in ("inbound", "full"):
        state = state_of(sync(failed, scope=scope), RunState.FAILED, steps=("appointments",))
        assert (state.status, state.error) == ("failed", failed.error_message)
        assert result(state).error == failed.error_message


def test_held_deletions_make_the_sync_held() -> None:
    held = audit(Phase.RECONCILIATION, AuditStatus.HELD, counts=Counts(found=9, held=9))
    done = [audit(), audit(Phase.CASES)]
    steps = ("reconciliation_checks",)

    alone = state_of(sync(held, scope="reconcile"), RunState.FAILED, steps=steps)
    full = state_of(sync(*done, held, scope="full"), RunState.FAILED, steps=steps)

    assert (alone.status, full.status) == ("held", "held")
    assert "holds back 9 deletions" in (alone.error or "")
    assert full.error == alone.error


def test_a_failed_phase_is_worse_than_a_held_one() -> None:
    held = audit(Phase.RECONCILIATION, AuditStatus.HELD)
    failed = audit(Phase.CASES, AuditStatus.FAILED, error="TransientError: slow")

    assert state_of(sync(audit(), failed, held, scope="full"), RunState.FAILED).status == "failed"


@pytest.mark.parametrize("run", [RunState.FAILED, RunState.CANCELED, RunState.GONE])
def test_an_audit_in_progress_of_an_ended_run_was_interrupted(run: RunState) -> None:
    state = state_of(sync(audit(status=AuditStatus.IN_PROGRESS)), run)

    assert state.status == "failed"
    assert state.error == "the process that did it ended before it was done"


def test_an_interrupted_audit_has_failed_with_its_reason() -> None:
    interrupted = audit(status=AuditStatus.INTERRUPTED, error="it ended before it was done")

    assert state_of(sync(interrupted), RunState.FAILED).error == "it ended before it was done"
    assert state_of(sync(interrupted)).status == "failed"


class TestWithoutDagster:
    """While Dagster cannot be reached, the audits decide."""

    def test_a_sync_is_complete_when_all_its_audits_are(self) -> None:
        phases = [audit(phase) for phase in Phase]
        assert state_of(sync(*phases, scope="full")).status == "completed"
        assert state_of(sync(*phases), RunState.GONE).status == "completed"

    def test_phases_that_have_not_begun_may_yet_begin(self) -> None:
        assert state_of(sync(audit(), scope="full")).status == "running"
        assert (
            state_of(sync(audit(), scope="full"), now=NOW + timedelta(days=1)).status == "running"
        )

    def test_after_a_failed_phase_the_sync_fails_after_a_timeout(self) -> None:
        failed = audit(status=AuditStatus.FAILED, error="TransientError: slow")
        soon, late = MOVED + AUDIT_TIMEOUT, MOVED + AUDIT_TIMEOUT + timedelta.resolution

        assert state_of(sync(failed, scope="full"), now=soon).status == "running"
        state = state_of(sync(failed, scope="full"), now=late)
        assert (state.status, state.error) == ("failed", "TransientError: slow")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (AuditStatus.IN_PROGRESS, "running"),
        (AuditStatus.COMPLETED, "completed"),
        (AuditStatus.FAILED, "failed"),
        (AuditStatus.INTERRUPTED, "failed"),
        (AuditStatus.HELD, "held"),
    ],
)
def test_a_scheduled_sync_has_the_status_of_its_audit(status: AuditStatus, expected: str) -> None:
    alone = sync(audit(Phase.RECONCILIATION, status), scope="reconcile", is_request=False)

    assert state_of(alone).status == expected


def test_a_failed_run_of_many_clinics_does_not_fail_each_of_them() -> None:
    alone = sync(audit(), is_request=False)

    assert state_of(alone, RunState.FAILED, steps=("appointments",)).status == "completed"


def test_dagster_is_queried_only_if_the_audits_cannot_decide() -> None:
    active = audit(status=AuditStatus.IN_PROGRESS)
    stale = MOVED + AUDIT_TIMEOUT + timedelta.resolution
    done = sync(audit(), is_request=False)

    assert needs_run_state(sync(), NOW)
    assert needs_run_state(sync(audit()), NOW)
    assert not needs_run_state(sync(run_id=None), NOW)
    assert not needs_run_state(sync(active), NOW)
    assert needs_run_state(sync(active), stale)
    assert needs_run_state(sync(active, is_request=False), stale)
    assert not needs_run_state(done, stale)
