"""The status of clinics, in as many statements for many clinics as for one."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, event, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import add_clinic, deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import NO_SESSION, PhaseState, clinic_states
from pims_pipeline.store.queries.open_failures import FailureCounts
from pims_pipeline.store.schedules import Skips

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


def run(engine: Engine, statement: str, **values: object) -> None:
    with transaction(engine) as connection:
        connection.execute(text(statement), values)


def audit(engine: Engine, clinic: Clinic, phase: str, status: str, hours_ago: float) -> None:
    """A sync that took half an hour."""
    run(
        engine,
        "INSERT INTO case_sync_audits (clinic_id, sync_type, status, window_start, window_end, "
        "run_id, owner, created_at, updated_at) VALUES (:clinic, :phase, :status, '2026-03-01', "
        "'2026-03-02', 'r', 1, :began, :ended)",
        clinic=clinic.id,
        phase=phase,
        status=status,
        began=NOW - timedelta(hours=hours_ago),
        ended=NOW - timedelta(hours=hours_ago - 0.5),
    )


def statements(engine: Engine) -> int:
    executed: list[str] = []

    def note(*words: object) -> None:
        executed.append(str(words[2]))

    event.listen(engine, "before_cursor_execute", note)
    with transaction(engine) as connection:
        clinic_states(connection, NOW)
    event.remove(engine, "before_cursor_execute", note)
    return len(executed)


def test_a_clinic_that_never_ran_has_an_empty_status(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        (state,) = clinic_states(connection, NOW)
    assert (state.clinic, state.credentials, state.session) == (clinic, None, NO_SESSION)
    assert state.phases == dict.fromkeys(Phase, PhaseState())
    assert (state.open_holds, state.failures) == (0, FailureCounts(0, 0))


def test_each_phase_shows_its_newest_audit_and_its_last_success(
    engine: Engine, clinic: Clinic
) -> None:
    audit(engine, clinic, "inbound", "completed", 5)
    audit(engine, clinic, "inbound", "completed", 3)
    audit(engine, clinic, "inbound", "failed", 1)
    audit(engine, clinic, "reconciliation", "completed", 9)
    audit(engine, clinic, "reconciliation", "held", 2)
    run(
        engine,
        "INSERT INTO schedule_skips VALUES (:id, 'cases', 4, :at)",
        id=clinic.id,
        at=NOW,
    )
    with transaction(engine) as connection:
        (state,) = clinic_states(connection, NOW)
    inbound, reconciliation = (
        state.phases[Phase.INBOUND],
        state.phases[Phase.RECONCILIATION],
    )
    assert inbound.last.last_success == NOW - timedelta(hours=2.5)
    assert inbound.last.last_completed_or_held == NOW - timedelta(hours=3)
    assert inbound.latest is not None
    assert inbound.latest.status is AuditStatus.FAILED
    # A hold is no success, and no reason to call the phase late.
    assert reconciliation.last.last_success == NOW - timedelta(hours=8.5)
    assert reconciliation.last.last_completed_or_held == NOW - timedelta(hours=2)
    assert state.phases[Phase.CASES] == PhaseState(skips=Skips(4, NOW, in_a_row=0))


def test_many_clinics_take_no_more_statements_than_one(engine: Engine, clinic: Clinic) -> None:
    alone = statements(engine)
    with transaction(engine) as connection:
        for number in range(5):
            add_clinic(
                connection,
                slug=f"clinic-{number}",
                name="Another",
                timezone=clinic.timezone,
                provider_type=clinic.provider_type,
                provider_base_url=clinic.provider_base_url,
            )
    assert statements(engine) == alone


def test_a_clinic_that_is_not_synced_has_no_schedule(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        deactivate_clinic(connection, clinic.slug)
        (state,) = clinic_states(connection, NOW)
    assert state.schedule is None
