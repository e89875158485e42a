"""Audits, and the difference between a killed run and an active one."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.audits import (
    Audit,
    audit_by_id,
    audits_of_run,
    fail_audit,
    finish_audit,
    latest_audits,
    record_progress,
    start_audit,
)
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import interrupt_orphans, run_liveness

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WINDOW = DateRange(date(2026, 3, 1), date(2026, 3, 7))


def _start(
    engine: Engine,
    clinic: Clinic,
    *,
    owner: int = 7,
    sync_type: Phase = Phase.INBOUND,
    run_id: str = "run-1",
    now: datetime = NOW,
) -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=sync_type,
            window=WINDOW,
            run_id=run_id,
            owner=owner,
            now=now,
        )


def _audit(engine: Engine, audit_id: UUID) -> Audit:
    with transaction(engine) as connection:
        found = audit_by_id(connection, audit_id)
    assert found is not None
    return found


def _interrupt(engine: Engine, clinic: Clinic) -> list[UUID]:
    with transaction(engine) as connection:
        return interrupt_orphans(connection, clinic.id, NOW + timedelta(hours=1))


def test_an_audit_that_starts_is_in_progress_and_has_counted_nothing(
    engine: Engine, clinic: Clinic
) -> None:
    audit_id = _start(engine, clinic)
    assert _audit(engine, audit_id) == Audit(
        id=audit_id,
        clinic_id=clinic.id,
        sync_type=Phase.INBOUND,
        status=AuditStatus.IN_PROGRESS,
        window=WINDOW,
        run_id="run-1",
        counts=Counts(),
        items_done=0,
        items_total=0,
        fetched_at=None,
        error_message=None,
        created_at=NOW,
        updated_at=NOW,
        duration_ms=None,
    )


def test_a_finished_audit_gives_every_count_back(engine: Engine, clinic: Clinic) -> None:
    counts = Counts(
        found=1,
        created=2,
        updated=3,
        unchanged=4,
        restored=5,
        blocked=6,
        quarantined=7,
        enriched=8,
        skipped=9,
        errored=10,
        deleted=11,
        held=12,
    )
    audit_id = _start(engine, clinic)
    with transaction(engine) as connection:
        finish_audit(
            connection,
            audit_id,
            status=AuditStatus.COMPLETED,
            counts=counts,
            fetched_at=NOW + timedelta(seconds=1),
            now=NOW + timedelta(milliseconds=2345),
        )
        skipped = connection.scalar(text("SELECT cases_skipped FROM case_sync_audits"))
    audit = _audit(engine, audit_id)
    assert audit.status is AuditStatus.COMPLETED
    assert audit.counts == counts
    assert audit.fetched_at == NOW + timedelta(seconds=1)
    assert audit.updated_at == NOW + timedelta(milliseconds=2345)
    assert audit.duration_ms == 2345
    assert skipped == 6 + 9


def test_a_failed_audit_says_why_and_keeps_its_progress(engine: Engine, clinic: Clinic) -> None:
    audit_id = _start(engine, clinic)
    with transaction(engine) as connection:
        record_progress(connection, audit_id, 3, 40, NOW + timedelta(seconds=1))
        fail_audit(
            connection,
            audit_id,
            "the listing was cut off",
            NOW + timedelta(seconds=2),
            error_class="ContractViolation",
        )
    audit = _audit(engine, audit_id)
    assert audit.status is AuditStatus.FAILED
    assert (audit.error_class, audit.error_message) == (
        "ContractViolation",
        "the listing was cut off",
    )
    assert (audit.items_done, audit.items_total) == (3, 40)
    assert audit.duration_ms == 2000


def test_a_clock_set_back_gives_no_negative_duration(engine: Engine, clinic: Clinic) -> None:
    audit_id = _start(engine, clinic)
    with transaction(engine) as connection:
        fail_audit(connection, audit_id, "no", NOW - timedelta(hours=1), error_class="Oh")
    assert _audit(engine, audit_id).duration_ms == 0


def test_an_unknown_id_has_no_audit(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert audit_by_id(connection, uuid4()) is None


def test_a_runs_audits_come_in_the_order_they_began(engine: Engine, clinic: Clinic) -> None:
    second = _start(engine, clinic, sync_type=Phase.CASES, now=NOW + timedelta(seconds=1))
    first = _start(engine, clinic)
    _start(engine, clinic, run_id="run-2")
    with transaction(engine) as connection:
        assert [each.id for each in audits_of_run(connection, "run-1")] == [first, second]


def test_the_latest_audits_are_one_of_each_phase(engine: Engine, clinic: Clinic) -> None:
    _start(engine, clinic)
    newer = _start(engine, clinic, now=NOW + timedelta(hours=1))
    cases = _start(engine, clinic, sync_type=Phase.CASES)
    with transaction(engine) as connection:
        latest = {each.sync_type: each.id for each in latest_audits(connection, clinic.id)}
        assert latest_audits(connection, uuid4()) == []
    assert latest == {Phase.INBOUND: newer, Phase.CASES: cases}


def test_a_living_processes_audits_are_left_alone(engine: Engine, clinic: Clinic) -> None:
    with run_liveness(engine) as liveness:
        audit_id = _start(engine, clinic, owner=liveness.owner)
        assert _interrupt(engine, clinic) == []
    assert _audit(engine, audit_id).status is AuditStatus.IN_PROGRESS


def test_two_livenesses_of_one_process_differ(engine: Engine, clinic: Clinic) -> None:
    with run_liveness(engine) as lasting:
        with run_liveness(engine) as brief:
            left = _start(engine, clinic, owner=brief.owner)
        lives = _start(engine, clinic, owner=lasting.owner)
        assert lasting.owner != brief.owner
        assert _interrupt(engine, clinic) == [left]
        assert _audit(engine, lives).status is AuditStatus.IN_PROGRESS


def test_an_interrupted_audit_says_so_and_is_found_only_once(
    engine: Engine, clinic: Clinic
) -> None:
    audit_id = _start(engine, clinic)
    assert _interrupt(engine, clinic) == [audit_id]
    assert _interrupt(engine, clinic) == []
    audit = _audit(engine, audit_id)
    assert audit.status is AuditStatus.INTERRUPTED
    assert audit.error_message == "the process that did it ended before it was done"
    assert audit.updated_at == NOW + timedelta(hours=1)
    assert audit.duration_ms is None


def test_audits_that_ended_are_never_interrupted(engine: Engine, clinic: Clinic) -> None:
    audit_id = _start(engine, clinic)
    with transaction(engine) as connection:
        fail_audit(connection, audit_id, "no", NOW, error_class="Oh")
    assert _interrupt(engine, clinic) == []
    assert _audit(engine, audit_id).status is AuditStatus.FAILED
