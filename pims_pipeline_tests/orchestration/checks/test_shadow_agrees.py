"""``shadow_agrees``: an adopted clinic against its v4.0 installation, after each reconciliation."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import event

from pims_pipeline.domain.adoption.v4 import AdoptionMode, Layout
from pims_pipeline.store.adoptions import add_adoption, set_mode
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.planted import V4Installation
from pims_pipeline_tests.orchestration.checks.findings import appointment, findings_of
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment

CHECK = "shadow_agrees"


@pytest.fixture
def clinic_id(deployment: DagsterDeployment) -> UUID:
    return deployment.clinics["alder"].id


@pytest.fixture
def theirs(deployment: DagsterDeployment, run_id: str, clinic_id: UUID) -> Iterator[V4Installation]:
    """A v4.0 installation that has all cases of alder, which is adopted from it."""
    assert run_id
    url = deployment.engine.url.render_as_string(hide_password=False)
    with V4Installation(url, Layout.DEPLOYED) as installation:
        installation.insert("clinics", id=clinic_id, name="Alder", slug="alder")
        cases = deployment.rows("SELECT pims_id, scheduled_start, case_type, status FROM cases")
        for each in cases:
            installation.case(
                clinic_id,
                installation.external_id(str(each.pims_id)),
                each.scheduled_start,
                status=str(each.status),
                case_type=str(each.case_type),
                metadata={"pimsConsultation": {"consultationId": 1, "notes": "a note"}}
                if each.pims_id == appointment(-2)
                else None,
            )
        with transaction(deployment.engine) as connection:
            add_adoption(
                connection,
                clinic_id=clinic_id,
                layout=Layout.DEPLOYED,
                their_schema=installation.schema,
                their_clinic_id=clinic_id,
            )
        installation.run(
            "INSERT INTO case_sync_audits (clinic_id, sync_type, status, started_at) "
            "SELECT %s, kind, 'completed', now() + interval '1 day' "
            "FROM unnest(ARRAY['inbound', 'cases', 'reconciliation']) AS kind",
            clinic_id,
        )
        yield installation


@pytest.mark.usefixtures("theirs")
def test_a_clinic_that_agrees_has_no_finding(deployment: DagsterDeployment, run_id: str) -> None:
    assert findings_of(deployment, CHECK, run_id) == []


def test_each_kind_of_difference_is_a_warning_with_ids(
    deployment: DagsterDeployment, theirs: V4Installation, run_id: str
) -> None:
    gone, shifted = (theirs.external_id(appointment(day)) for day in (-1, -3))
    theirs.run("DELETE FROM cases WHERE external_id = %s", gone)
    theirs.run(
        "UPDATE cases SET scheduled_at = scheduled_at + interval '3 hours' WHERE external_id = %s",
        shifted,
    )
    cases = {
        day: deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(day))[0].id
        for day in (-1, -3)
    }
    found = {each.what.partition(":")[0]: each for each in findings_of(deployment, CHECK, run_id)}
    assert set(found) == {"missing_there", "time_shifted"}
    assert all(each.is_warning for each in found.values())
    assert str(found["missing_there"].items[0]).endswith(str(cases[-1]))
    assert str(found["time_shifted"].items[0]).endswith(str(cases[-3]))


def test_a_clinic_whose_adoption_is_off_is_not_compared(
    deployment: DagsterDeployment, theirs: V4Installation, clinic_id: UUID, run_id: str
) -> None:
    theirs.run("DELETE FROM cases WHERE clinic_id = %s", clinic_id)
    with transaction(deployment.engine) as connection:
        set_mode(connection, clinic_id, AdoptionMode.OFF)
    assert findings_of(deployment, CHECK, run_id) == []


def test_tables_that_are_gone_are_a_warning_that_says_so(
    deployment: DagsterDeployment, theirs: V4Installation, run_id: str
) -> None:
    theirs.run("DROP TABLE cases CASCADE")
    (finding,) = findings_of(deployment, CHECK, run_id)
    assert finding.is_warning
    assert "no v4.0 installation" in str(finding.items[0])


def test_a_clinic_that_was_never_adopted_costs_one_statement(
    deployment: DagsterDeployment, run_id: str
) -> None:
    statements = []

    def seen(*given: object) -> None:
        statements.append(str(given[2]))

    findings_of(deployment, "no_live_case_deleted", run_id)
    event.listen(deployment.engine, "before_cursor_execute", seen)
    try:
        assert findings_of(deployment, CHECK, run_id) == []
    finally:
        event.remove(deployment.engine, "before_cursor_execute", seen)
    of_the_check = [each for each in statements if "case_sync_audits" not in each]
    assert len(of_the_check) == 1
    assert "adoptions" in of_the_check[0]
