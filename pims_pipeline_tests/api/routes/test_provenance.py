"""``GET /api/cases/{id}/provenance``: the history of a case, for its own clinic only."""

from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import AuditStatus, Counts
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.queries.case_history import case_history
from pims_pipeline.sync.provenance import provenance_of
from pims_pipeline.wire.cases import Provenance
from pims_pipeline_tests.api.support.keys import MakeKey
from pims_pipeline_tests.api.support.sync_api import SyncApi


@pytest.fixture
def case_id(sync_api: SyncApi) -> UUID:
    """A case that a sync created."""
    _, run = sync_api.started()
    audit_id = sync_api.begin(run)
    case_id = uuid4()
    values: Mapping[str, object] = {
        "case": case_id,
        "clinic": sync_api.clinic.id,
        "audit": audit_id,
        "run": run.id,
    }
    with transaction(sync_api.engine) as connection:
        connection.execute(
            text(
                "INSERT INTO cases (id, clinic_id, provider_type, pims_id, patient_name, "
                "client_name, scheduled_date, scheduled_start, scheduled_end) VALUES (:case, "
                ":clinic, 'idexx_neo', '7', 'Biscuit', 'Sam', '2026-03-09', now(), now())"
            ),
            values,
        )
        lock_clinic(connection, sync_api.clinic.id)
        connection.execute(
            text(
                "INSERT INTO case_events (clinic_id, case_id, audit_id, run_id, partition_key, "
                "kind, changes, source_digest, occurred_at) VALUES (:clinic, :case, :audit, :run, "
                "'maple-street|2026-03-09', 'created', '{\"status\": [null, \"draft\"]}', 'd', "
                "now())"
            ),
            values,
        )
        connection.execute(
            text(
                "INSERT INTO credential_access_log (clinic_id, provider_type, purpose, run_id) "
                "VALUES (:clinic, 'idexx_neo', 'login', :run)"
            ),
            values,
        )
    sync_api.end(audit_id, Counts(found=1, created=1), AuditStatus.COMPLETED)
    return case_id


def test_the_history_of_a_case_is_the_same_as_on_the_command_line(
    sync_api: SyncApi, case_id: UUID
) -> None:
    with transaction(sync_api.engine) as connection:
        history = case_history(connection, case_id)

    response = sync_api.get(f"/api/cases/{case_id}/provenance")

    assert response.status_code == 200
    provenance = provenance_of(history, dagster_ui_url="http://dagster.example")
    assert response.json() == Provenance.of(provenance).model_dump(mode="json")
    Provenance.model_validate(response.json())


def test_an_event_links_to_its_sync(sync_api: SyncApi, case_id: UUID) -> None:
    [event] = sync_api.get(f"/api/cases/{case_id}/provenance").json()["events"]

    assert event["changes"] == {"status": [None, "draft"]}
    assert [each["purpose"] for each in event["credentialAccesses"]] == ["login"]
    assert sync_api.status(event["syncId"])["links"]["run"] == event["runUrl"]


def test_only_its_own_clinic_can_read_it(
    sync_api: SyncApi, case_id: UUID, engine: Engine, make_key: MakeKey
) -> None:
    with transaction(engine) as connection:
        other: Clinic = add_clinic(
            connection,
            slug="elsewhere",
            name="Elsewhere Veterinary",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    responses = [
        sync_api.get(f"/api/cases/{case_id}/provenance", key=make_key(clinic=other)),
        sync_api.get(f"/api/cases/{uuid4()}/provenance"),
    ]

    for response in responses:
        assert (response.status_code, response.json()["error"]) == (404, "Case not found")


def test_it_needs_the_permission_to_read(
    sync_api: SyncApi, case_id: UUID, make_key: MakeKey
) -> None:
    key = make_key("sync:inbound")

    response = sync_api.get(f"/api/cases/{case_id}/provenance", key=key)

    assert (response.status_code, response.json()["error"]) == (403, "Permission denied: read")
    assert sync_api.get("/api/cases/7/provenance").json()["error"] == "id: must be a UUID"


def test_a_number_that_no_double_holds_is_null(sync_api: SyncApi, case_id: UUID) -> None:
    """Postgres stores it; most JSON parsers could not read it."""
    theirs = f'{{"theirs": [1{"0" * 400}.5, 7]}}'
    with transaction(sync_api.engine) as connection:
        connection.execute(
            text("UPDATE cases SET metadata = CAST(:theirs AS jsonb) WHERE id = :id"),
            {"id": case_id, "theirs": theirs},
        )

    response = sync_api.get(f"/api/cases/{case_id}/provenance")

    assert (response.status_code, response.json()["metadata"]) == (200, {"theirs": [None, 7]})


def test_changes_that_python_cannot_hold_are_shown_as_their_text(
    sync_api: SyncApi, case_id: UUID
) -> None:
    deep = f"{'[' * 5000}{']' * 5000}"
    with transaction(sync_api.engine) as connection:
        lock_clinic(connection, sync_api.clinic.id)
        connection.execute(
            text(
                "INSERT INTO case_events (clinic_id, case_id, audit_id, run_id, partition_key, "
                "kind, changes, occurred_at) SELECT clinic_id, case_id, audit_id, run_id, "
                "partition_key, 'updated', CAST(:changes AS jsonb), occurred_at FROM case_events "
                "WHERE case_id = :id"
            ),
            {"id": case_id, "changes": f'{{"metadata": [null, {deep}]}}'},
        )

    *_, event = sync_api.get(f"/api/cases/{case_id}/provenance").json()["events"]

    before, after = event["changes"]["notAnObject"]
    assert before is None
    assert after == f'{{"metadata": [null, {deep}]}}'
