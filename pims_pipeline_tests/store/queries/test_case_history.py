"""A case's history: its events with their causes, from several tables."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, insert, update

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.domain.records.words import CaseStatus
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.queries.case_history import (
    CaseHistory,
    CaseState,
    CredentialUse,
    UnknownCase,
    case_history,
    case_of_appointment,
    case_states,
)
from pims_pipeline.store.tables.access import credential_access_log
from pims_pipeline.store.tables.cases import cases, pims_appointments
from pims_pipeline.sync.provenance import RecordSource, provenance_of
from pims_pipeline.wire.cases import Provenance

NOW = datetime(2026, 3, 29, 4, 30, tzinfo=UTC)
CHANGED = datetime(2026, 3, 28, 20, 15, tzinfo=UTC)
DAY = date(2026, 3, 29)


def stored_case(engine: Engine, clinic: Clinic, pims_id: str, **facts: object) -> UUID:
    case_id = uuid4()
    with transaction(engine) as connection:
        connection.execute(
            insert(cases).values(
                {
                    "id": case_id,
                    "clinic_id": clinic.id,
                    "provider_type": clinic.provider_type,
                    "pims_id": pims_id,
                    "patient_name": "Rex",
                    "client_name": "Ann",
                    "scheduled_date": DAY,
                    "scheduled_start": NOW,
                    "scheduled_end": NOW,
                    **facts,
                }
            )
        )
    return case_id


def landed(engine: Engine, clinic: Clinic, pims_id: str, digest: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            insert(pims_appointments).values(
                clinic_id=clinic.id,
                provider_type=clinic.provider_type,
                pims_id=pims_id,
                business_date=DAY,
                scheduled_start=NOW,
                payload={"vendorUpdatedAt": CHANGED.isoformat()},
                digest=digest,
                fetched_at=NOW,
                first_seen_at=NOW,
                last_seen_at=NOW,
                audit_id=started(engine, clinic, Phase.INBOUND, "run-0"),
            )
        )


def started(engine: Engine, clinic: Clinic, phase: Phase, run_id: str) -> UUID:
    with transaction(engine) as connection:
        return start_audit(
            connection,
            clinic=clinic,
            sync_type=phase,
            window=DateRange(DAY, DAY),
            run_id=run_id,
            owner=1,
            now=NOW,
        )


def happened(
    engine: Engine,
    clinic: Clinic,
    case_id: UUID,
    kind: EventKind,
    digest: str | None,
    *,
    phase: Phase,
    run_id: str,
) -> UUID:
    """Record an event; gives the id of its audit."""
    audit_id = started(engine, clinic, phase, run_id)
    event = CaseEvent(
        case_id=case_id,
        kind=kind,
        business_date=DAY,
        changes={"status": ("draft", "reviewed")},
        source_digest=digest,
        occurred_at=NOW,
    )
    with transaction(engine) as connection:
        lock_clinic(connection, clinic.id)
        record_events(connection, clinic, [event], audit_id=audit_id, run_id=run_id)
    return audit_id


def decrypted(engine: Engine, clinic: Clinic, run_id: str | None, purpose: str) -> None:
    with transaction(engine) as connection:
        connection.execute(
            insert(credential_access_log).values(
                clinic_id=clinic.id,
                provider_type=clinic.provider_type,
                purpose=purpose,
                run_id=run_id,
                accessed_at=NOW,
            )
        )


def history_of(engine: Engine, case_id: UUID) -> CaseHistory:
    with transaction(engine) as connection:
        return case_history(connection, case_id)


@pytest.fixture
def other(engine: Engine) -> Clinic:
    """Another clinic, of the same vendor."""
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )


def test_the_vendors_time_is_shown_for_the_record_that_is_landed_now(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    case_id = stored_case(engine, clinic, "7")
    landed(engine, clinic, "7", "new")
    # The same appointment identity, and the same words, at another clinic.
    landed(engine, other, "7", "old")
    for kind, digest, phase in (
        (EventKind.CREATED, "old", Phase.INBOUND),
        (EventKind.UPDATED, "new", Phase.INBOUND),
        (EventKind.ENRICHED, "record", Phase.CASES),
        (EventKind.SOFT_DELETED, None, Phase.RECONCILIATION),
    ):
        happened(engine, clinic, case_id, kind, digest, phase=phase, run_id="run-1")
    assert [
        (event.kind, event.phase, event.vendor_updated_at)
        for event in history_of(engine, case_id).events
    ] == [
        (EventKind.CREATED, Phase.INBOUND, None),
        (EventKind.UPDATED, Phase.INBOUND, CHANGED),
        (EventKind.ENRICHED, Phase.CASES, None),
        (EventKind.SOFT_DELETED, Phase.RECONCILIATION, None),
    ]


def test_accesses_are_those_of_the_clinic_by_the_runs_of_the_case(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    case_id = stored_case(engine, clinic, "7")
    for run_id in ("run-1", "run-3"):
        happened(
            engine,
            clinic,
            case_id,
            EventKind.UPDATED,
            None,
            phase=Phase.INBOUND,
            run_id=run_id,
        )
    decrypted(engine, clinic, "run-1", "login")
    decrypted(engine, other, "run-1", "login")
    decrypted(engine, clinic, "run-2", "sync")
    decrypted(engine, clinic, None, "rotate")
    decrypted(engine, clinic, "run-3", "sync")
    assert history_of(engine, case_id).accesses == (
        CredentialUse(run_id="run-1", purpose="login", accessed_at=NOW),
        CredentialUse(run_id="run-3", purpose="sync", accessed_at=NOW),
    )


def test_a_history_has_the_field_names_of_the_api(engine: Engine, clinic: Clinic) -> None:
    case_id = stored_case(engine, clinic, "7")
    landed(engine, clinic, "7", "new")
    audit_id = happened(
        engine,
        clinic,
        case_id,
        EventKind.UPDATED,
        "new",
        phase=Phase.INBOUND,
        run_id="run-1",
    )
    decrypted(engine, clinic, "run-1", "login")
    history = history_of(engine, case_id)
    provenance = provenance_of(history, dagster_ui_url="https://dagster.example/")
    document = Provenance.of(provenance).model_dump(mode="json")
    assert document["id"] == str(case_id)
    assert document["events"] == [
        {
            "seq": history.events[0].seq,
            "kind": "updated",
            "occurredAt": "2026-03-29T04:30:00.000Z",
            "occurredAtLocal": "2026-03-29T00:30:00.000-04:00",
            "phase": "inbound",
            "syncId": str(audit_id),
            "runId": "run-1",
            "runUrl": "https://dagster.example/runs/run-1",
            "partitionKey": "maple-street|2026-03-29",
            "source": {
                "record": "appointment",
                "digest": "new",
                "vendorUpdatedAt": "2026-03-28T20:15:00.000Z",
            },
            "changes": {"status": ["draft", "reviewed"]},
            "credentialAccesses": [{"purpose": "login", "accessedAt": "2026-03-29T04:30:00.000Z"}],
        }
    ]


def test_a_consultation_and_a_missing_appointment_have_different_sources(
    engine: Engine, clinic: Clinic
) -> None:
    case_id = stored_case(engine, clinic, "7")
    for kind, digest in ((EventKind.ENRICHED, "record"), (EventKind.SOFT_DELETED, None)):
        happened(engine, clinic, case_id, kind, digest, phase=Phase.CASES, run_id="run-1")
    shown = provenance_of(history_of(engine, case_id), dagster_ui_url="http://127.0.0.1:3000")
    assert [event.source for event in shown.events] == [
        RecordSource(record="consultation", digest="record", vendor_updated_at=None),
        None,
    ]


def test_a_case_is_found_by_its_appointment_within_its_clinic(
    engine: Engine, clinic: Clinic, other: Clinic
) -> None:
    case_id = stored_case(engine, clinic, "7")
    elsewhere = stored_case(engine, other, "7")
    with transaction(engine) as connection:
        assert case_of_appointment(connection, clinic, "7") == case_id
        assert case_of_appointment(connection, other, "7") == elsewhere
        with pytest.raises(UnknownCase, match="no case of oak has the vendor identity '8'"):
            case_of_appointment(connection, other, "8")


def test_the_states_of_cases_hold_no_personal_data(engine: Engine, clinic: Clinic) -> None:
    active, gone = stored_case(engine, clinic, "7"), stored_case(engine, clinic, "8")
    with transaction(engine) as connection:
        connection.execute(
            update(cases)
            .where(cases.c.id == gone)
            .values(status="reviewed", metadata={"reconciliation": {"softDeleted": True}})
        )
        states = case_states(connection, {active, gone, uuid4()})
    assert states == {
        active: CaseState(active, "7", DAY, CaseStatus.DRAFT, soft_deleted=False),
        gone: CaseState(gone, "8", DAY, CaseStatus.REVIEWED, soft_deleted=True),
    }


def test_the_repr_of_a_history_shows_no_personal_data(engine: Engine, clinic: Clinic) -> None:
    case_id = stored_case(engine, clinic, "7", patient_name="Bartholomew")
    assert "Bartholomew" not in repr(history_of(engine, case_id))
