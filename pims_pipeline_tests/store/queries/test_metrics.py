"""What the API's role may show Prometheus of all clinics, and that it may show no more."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, insert, text

from pims_pipeline.domain.adoption.v4 import AdoptionMode
from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.adoptions import set_mode
from pims_pipeline.store.audits import fail_audit, finish_audit, start_audit
from pims_pipeline.store.clinics import add_clinic, deactivate_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.liveness import interrupt_orphans
from pims_pipeline.store.queries.last_syncs import last_syncs
from pims_pipeline.store.queries.metrics import (
    ENDS,
    EndedSync,
    EndedSyncs,
    adoption_differences,
    clinic_readings,
    open_alerts,
)
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.operations import alerts, schedule_skips
from pims_pipeline.store.tables.syncs import reconciliation_holds, sync_failures
from pims_pipeline_tests.adoption.ways import leave_comparison
from pims_pipeline_tests.databases import with_options

DAY = date(2026, 3, 2)
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
INBOUND, CASES = Phase.INBOUND, Phase.CASES


@pytest.fixture
def api(database_url: str) -> Iterator[Engine]:
    """An engine with the rights of the API's role, and no others."""
    engine = create_engine(with_options(database_url, "-c role=pims_api"))
    yield engine
    engine.dispose()


@pytest.fixture
def quiet_clinic(engine: Engine) -> Clinic:
    """A clinic without any syncs."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="birch-lane",
            name="Birch Lane",
            timezone="Europe/Berlin",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )


def _started(engine: Engine, clinic: Clinic, phase: Phase, at: datetime) -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=phase,
            window=DateRange(DAY, DAY),
            run_id="run-1",
            owner=1,
            now=at,
        )


def _ended(
    engine: Engine,
    clinic: Clinic,
    phase: Phase,
    at: datetime,
    *,
    seconds: float = 2,
    status: AuditStatus = AuditStatus.COMPLETED,
) -> UUID:
    audit_id = _started(engine, clinic, phase, at - timedelta(seconds=seconds))
    with transaction(engine) as connection:
        finish_audit(
            connection,
            audit_id,
            status=status,
            counts=Counts(),
            fetched_at=None,
            now=at,
        )
    return audit_id


def _new(api: Engine, syncs: EndedSyncs, now: datetime) -> list[EndedSync]:
    with transaction(api) as connection:
        return syncs.new(connection, now)


def _minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


def test_each_sync_that_ends_is_given_once(engine: Engine, api: Engine, clinic: Clinic) -> None:
    syncs = EndedSyncs(START)
    assert _new(api, syncs, _minutes(0)) == []
    _ended(engine, clinic, INBOUND, _minutes(1), seconds=2.5)
    _started(engine, clinic, CASES, _minutes(1))
    assert _new(api, syncs, _minutes(2)) == [
        EndedSync("maple-street", INBOUND, AuditStatus.COMPLETED, 2.5)
    ]
    assert _new(api, syncs, _minutes(3)) == []


def test_each_ended_sync_has_a_status_and_an_interrupted_one_no_duration(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    syncs = EndedSyncs(START)
    failed = _started(engine, clinic, INBOUND, _minutes(1))
    _started(engine, clinic, CASES, _minutes(1))
    with transaction(engine) as connection:
        fail_audit(
            connection,
            failed,
            "the vendor does not answer",
            _minutes(2),
            error_class="TransientError",
        )
        interrupt_orphans(connection, clinic.id, _minutes(2))
    assert set(_new(api, syncs, _minutes(3))) == {
        EndedSync("maple-street", INBOUND, AuditStatus.FAILED, 60),
        EndedSync("maple-street", CASES, AuditStatus.INTERRUPTED, None),
    }


def test_what_ended_before_the_start_is_not_given(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    _ended(engine, clinic, INBOUND, _minutes(-1))
    assert _new(api, EndedSyncs(START), _minutes(1)) == []


def test_an_end_that_comes_to_be_seen_late_is_given_once(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    syncs = EndedSyncs(START)
    _ended(engine, clinic, INBOUND, _minutes(60))
    assert len(_new(api, syncs, _minutes(60))) == 1
    _ended(engine, clinic, CASES, _minutes(52))
    assert [each.phase for each in _new(api, syncs, _minutes(61))] == [CASES]
    assert _new(api, syncs, _minutes(62)) == []


def test_a_look_does_not_read_all_there_is(engine: Engine, api: Engine, clinic: Clinic) -> None:
    syncs = EndedSyncs(START)
    for minute in (1, 60):
        _ended(engine, clinic, INBOUND, _minutes(minute))
        _new(api, syncs, _minutes(minute))
    asked: list[datetime] = []

    @event.listens_for(api, "before_cursor_execute")
    def note(*arguments: object) -> None:
        parameters = arguments[3]
        if isinstance(parameters, dict) and "since" in parameters:
            asked.append(parameters["since"])

    _new(api, syncs, _minutes(61))
    assert asked == [_minutes(50)]


def test_a_clock_that_is_ahead_of_the_others_loses_no_sync(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    syncs = EndedSyncs(START)
    _ended(engine, clinic, INBOUND, _minutes(1))
    assert len(_new(api, syncs, _minutes(600))) == 1
    _ended(engine, clinic, CASES, _minutes(2))
    assert [each.phase for each in _new(api, syncs, _minutes(601))] == [CASES]


def test_the_statuses_to_expect_are_those_a_phase_can_end_with() -> None:
    assert {phase: set(statuses) for phase, statuses in ENDS.items()} == {
        INBOUND: {"completed", "failed", "interrupted"},
        CASES: {"completed", "failed", "interrupted"},
        Phase.RECONCILIATION: {"completed", "failed", "interrupted", "held"},
    }


def test_a_clinic_of_which_nothing_is_known_has_no_age(api: Engine, quiet_clinic: Clinic) -> None:
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    assert reading.slug == quiet_clinic.slug
    assert reading.last_success_age == {}
    assert (reading.open_holds, reading.open_failures, reading.session_is_valid) == (0, 0, False)
    assert reading.ticks_skipped == {"inbound": 0, "cases": 0, "reconciliation": 0}


def test_the_age_is_that_of_the_last_success_whatever_came_after(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    now = datetime.now(UTC)
    _ended(engine, clinic, INBOUND, now - timedelta(hours=3))
    _ended(engine, clinic, INBOUND, now - timedelta(hours=2))
    failed = _started(engine, clinic, INBOUND, now - timedelta(hours=1))
    with transaction(engine) as connection:
        fail_audit(
            connection, failed, "the vendor does not answer", now, error_class="TransientError"
        )
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    assert reading.last_success_age.keys() == {"inbound"}
    assert 7200 <= reading.last_success_age["inbound"] < 10_800


def test_the_age_counts_from_the_last_success_that_everything_else_shows(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    now = datetime.now(UTC)
    _ended(engine, clinic, INBOUND, now - timedelta(hours=3), seconds=600)
    _ended(engine, clinic, INBOUND, now - timedelta(hours=1), status=AuditStatus.HELD)
    _ended(engine, clinic, INBOUND, now + timedelta(days=400))
    _ended(engine, clinic, CASES, now - timedelta(minutes=30), status=AuditStatus.HELD)
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    with transaction(engine) as connection:
        known = last_syncs(connection, now)
    shown = {phase: known[clinic.id, phase].last_success for phase in Phase}
    assert {phase for phase, moment in shown.items() if moment} == {INBOUND}
    assert reading.last_success_age.keys() == {"inbound"}
    age = (now - (shown[INBOUND] or now)).total_seconds()
    assert age == timedelta(hours=3).total_seconds()
    assert 0 <= reading.last_success_age["inbound"] - age < 600


def test_an_end_a_little_ahead_is_no_negative_age(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    _ended(engine, clinic, INBOUND, datetime.now(UTC) + timedelta(seconds=40))
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    assert reading.last_success_age == {"inbound": 0}


def test_an_end_that_a_wrong_clock_put_in_the_future_makes_nothing_fresh(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    now = datetime.now(UTC)
    _ended(engine, clinic, INBOUND, now + timedelta(days=400))
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    assert reading.last_success_age == {}
    _ended(engine, clinic, INBOUND, now - timedelta(hours=3))
    with transaction(api) as connection:
        (reading,) = clinic_readings(connection)
    assert reading.last_success_age["inbound"] >= timedelta(hours=3).total_seconds()


def test_holds_open_failures_and_sessions_are_counted_for_their_clinic(
    engine: Engine, api: Engine, clinic: Clinic, quiet_clinic: Clinic, vault: Vault
) -> None:
    now = datetime.now(UTC)
    hold = {
        "clinic_id": clinic.id,
        "window_start": DAY,
        "window_end": DAY,
        "reason": "too_many",
        "plan": {"caseIds": []},
    }
    failure = {
        "clinic_id": clinic.id,
        "provider_type": clinic.provider_type,
        "phase": INBOUND,
        "error_class": "Unreadable",
        "error_message": "it has no start",
        "first_failed_at": now,
        "last_failed_at": now,
    }
    with transaction(engine) as connection:
        connection.execute(
            insert(reconciliation_holds),
            [{**hold, "status": status} for status in ("open", "open", "rejected")],
        )
        connection.execute(
            insert(sync_failures),
            [
                {**failure, "record_key": "1", "resolved_at": None},
                {**failure, "record_key": "2", "resolved_at": now},
            ],
        )
        put_session(connection, vault, clinic, b"cookies", now + timedelta(hours=1))
        put_session(connection, vault, quiet_clinic, b"cookies", now - timedelta(hours=1))
        connection.execute(
            insert(schedule_skips).values(
                clinic_id=clinic.id, sync_type=CASES, skipped=3, last_skipped_at=now
            )
        )
    with transaction(api) as connection:
        quiet, busy = clinic_readings(connection)
    assert (quiet.open_holds, quiet.open_failures, quiet.session_is_valid) == (0, 0, False)
    assert (busy.open_holds, busy.open_failures, busy.session_is_valid) == (2, 1, True)
    assert busy.ticks_skipped == {"inbound": 0, "cases": 3, "reconciliation": 0}


def test_a_deactivated_clinic_is_left_out(engine: Engine, api: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        deactivate_clinic(connection, clinic.slug)
    with transaction(api) as connection:
        assert clinic_readings(connection) == []


def test_alerts_that_have_not_ended_are_counted_by_kind(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    alert = {"clinic_id": clinic.id, "kind": AlertKind.FAILING, "opened_at": START}
    with transaction(engine) as connection:
        connection.execute(
            insert(alerts),
            [
                {**alert, "subject": "inbound", "ended_at": None},
                {**alert, "subject": "cases", "ended_at": START},
            ],
        )
    with transaction(api) as connection:
        assert open_alerts(connection) == {
            **{kind.value: 0 for kind in AlertKind},
            "failing": 1,
        }


def test_an_adopted_clinic_has_the_differences_of_its_last_compared_day(
    engine: Engine, api: Engine, clinic: Clinic
) -> None:
    leave_comparison(engine, clinic, 4)
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO adoption_diffs SELECT clinic_id, day - 1, window_start, "
                "window_end, compared, 7, waiting, by_kind FROM adoption_diffs"
            )
        )
    with transaction(api) as connection:
        assert adoption_differences(connection) == {clinic.slug: 4}
    with transaction(engine) as connection:
        set_mode(connection, clinic.id, AdoptionMode.OFF)
    with transaction(api) as connection:
        assert adoption_differences(connection) == {}


def test_the_readings_are_for_the_role_of_the_api_alone(engine: Engine) -> None:
    names = "SELECT oid::regprocedure::text, oid FROM pg_proc WHERE proname LIKE 'pims_metrics_%'"
    role = f"other_{uuid4().hex[:8]}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
        rights = {
            name: [
                connection.scalar(
                    text("SELECT has_function_privilege(:role, CAST(:oid AS oid), 'EXECUTE')"),
                    {"role": each, "oid": oid},
                )
                for each in ("pims_api", "pims_service", role)
            ]
            for name, oid in connection.execute(text(names))
        }
    assert rights == {
        "pims_metrics_clinics()": [True, False, False],
        "pims_metrics_phases()": [True, False, False],
        "pims_metrics_adoptions()": [True, False, False],
        "pims_metrics_alerts()": [True, False, False],
        "pims_metrics_syncs(timestamp with time zone)": [True, False, False],
    }
