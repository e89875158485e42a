"""The results of syncs, from audits and deletions."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import Audit
from pims_pipeline.sync.results import FullSyncResult, PhaseResult, sync_result
from pims_pipeline.wire.results import any_result

BEGAN = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=5)
LONG = DateRange(date(2026, 3, 1), date(2026, 4, 10))
FIRST, SECOND = LONG.split()
SHORT = FIRST


def audit(  # noqa: PLR0917 - as they are read
    phase: Phase,
    window: DateRange = SHORT,
    status: AuditStatus = AuditStatus.COMPLETED,
    counts: Counts | None = None,
    began: datetime = BEGAN,
    error: str | None = None,
) -> Audit:
    """An audit that took two seconds."""
    return Audit(
        id=uuid4(),
        clinic_id=UUID(int=1),
        sync_type=phase,
        status=status,
        window=window,
        run_id="run",
        counts=counts or Counts(),
        items_done=0,
        items_total=0,
        fetched_at=None,
        error_message=error,
        created_at=began,
        updated_at=began + timedelta(seconds=2),
        duration_ms=2000,
    )


def test_the_windows_of_a_long_sync_are_summed_under_the_first_one_s_id() -> None:
    counts = Counts(
        found=21, created=1, updated=2, unchanged=3, restored=4, blocked=5, quarantined=6
    )
    first = audit(Phase.INBOUND, FIRST, counts=counts)
    second = audit(Phase.INBOUND, SECOND, counts=counts, began=BEGAN + timedelta(seconds=3))

    assert sync_result("inbound", [first, second], LONG, now=NOW) == PhaseResult(
        phase=Phase.INBOUND,
        success=True,
        sync_id=first.id,
        counts=counts + counts,
        window=LONG,
        duration_ms=5000,
        ended_at=NOW,
    )


def test_reconciliation_names_the_deleted_cases() -> None:
    gone = [uuid4(), uuid4()]
    phase = audit(Phase.RECONCILIATION, counts=Counts(found=9, deleted=2, unchanged=7))
    result = sync_result("reconcile", [phase], SHORT, now=NOW, deleted_cases=gone)

    assert isinstance(result, PhaseResult)
    assert (result.counts.found, result.counts.deleted) == (9, 2)
    assert result.deleted_cases == tuple(gone)


def test_a_failed_phase_has_the_reason_and_fails_the_full_sync() -> None:
    audits = [
        audit(Phase.INBOUND),
        audit(Phase.CASES, status=AuditStatus.FAILED, error="TransientError: slow"),
        audit(Phase.RECONCILIATION),
    ]
    result = sync_result("full", audits, SHORT, now=NOW, error="the run failed")

    assert isinstance(result, FullSyncResult)
    assert not result.success
    assert [each.success for each in result.phases] == [True, False, True]
    assert result.phases[1].error == result.error == result.reason == "TransientError: slow"


def test_the_audit_s_error_of_the_first_phase_is_preferred_to_the_run_s() -> None:
    audits = [
        audit(Phase.RECONCILIATION, status=AuditStatus.FAILED, error="TransientError: third"),
        audit(Phase.INBOUND, status=AuditStatus.FAILED, error="TransientError: first"),
    ]
    result = sync_result("full", audits, SHORT, now=NOW, error="inbound failed for 1 of 1 clinics")

    assert any_result(result).error == result.error == "TransientError: first"


def test_a_full_sync_without_audits_has_the_run_s_error_or_what_is_missing() -> None:
    failed = sync_result("full", [], SHORT, now=NOW, error="the run was canceled")
    missing = sync_result("full", [], SHORT, now=NOW)

    assert failed.error == "the run was canceled"
    assert missing.error == "it did not run for the whole window"


def test_a_window_that_is_missing_is_no_success() -> None:
    result = sync_result("inbound", [audit(Phase.INBOUND, FIRST)], LONG, now=NOW)

    assert not result.success
    assert result.reason == "it did not run for the whole window"


def test_a_phase_that_never_began_has_no_id_and_counts_nothing() -> None:
    failed = audit(Phase.INBOUND, status=AuditStatus.FAILED, error="HumanNeeded: locked")
    result = sync_result("full", [failed], SHORT, now=NOW)

    assert isinstance(result, FullSyncResult)
    cases = result.phases[1]
    assert (cases.sync_id, cases.counts, cases.duration_ms) == (None, Counts(), 0)


def test_held_deletions_are_no_success() -> None:
    held = audit(Phase.RECONCILIATION, status=AuditStatus.HELD, counts=Counts(found=9, held=9))
    result = sync_result("reconcile", [held], SHORT, now=NOW)

    assert not result.success
    assert "holds back 9 deletions of 2026-03-01..2026-03-31" in (result.error or "")
    assert "at once, or left out, or it is empty;" in (result.error or "")
    assert (result.error or "").endswith("see `pims holds list`")


@pytest.mark.parametrize("scope", ["inbound", "full"])
def test_a_run_that_failed_for_another_reason_is_no_success(scope: str) -> None:
    audits = [audit(phase) for phase in Phase]
    result = (
        sync_result("full", audits, SHORT, now=NOW, error="failed checks: snapshot_complete")
        if scope == "full"
        else sync_result(
            "inbound", audits[:1], SHORT, now=NOW, error="failed checks: snapshot_complete"
        )
    )

    assert not result.success
    assert result.error == result.reason == "failed checks: snapshot_complete"


def test_phases_that_did_not_begin_do_not_hide_why_the_run_failed() -> None:
    problem = "failed checks: snapshot_complete"
    result = sync_result("full", [audit(Phase.INBOUND)], SHORT, now=NOW, error=problem)

    assert isinstance(result, FullSyncResult)
    assert [each.success for each in result.phases] == [True, False, False]
    assert result.reason == problem
