"""The checks of ``appointments`` report tampered data, and nothing else."""

import dagster as dg

from pims_pipeline_tests.orchestration.checks.findings import WINDOW, appointment, findings_of
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days


def test_a_case_that_vanished_would_be_written_again(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("DELETE FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = findings_of(deployment, "appointments_idempotent", run_id)
    assert finding.items == [appointment(-1)]


def test_a_landed_record_that_was_edited_would_be_written_again(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        'UPDATE pims_appointments SET payload = payload || \'{"room": "9"}\' WHERE pims_id = :id',
        id=appointment(-3),
    )
    (finding,) = findings_of(deployment, "appointments_idempotent", run_id)
    assert finding.items == [appointment(-3)]


def test_a_window_without_a_complete_calendar_is_reported(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE case_sync_audits SET status = 'failed' WHERE sync_type = 'inbound'")
    (finding,) = findings_of(deployment, "snapshot_complete", run_id)
    assert not finding.is_warning


def test_an_unknown_status_is_named(deployment: DagsterDeployment) -> None:
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].set_status(appointment(0), "Gone fishing")
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert outcome.success
    (finding,) = findings_of(deployment, "known_statuses", outcome.run_id)
    assert finding.items == ["Gone fishing"]
    evaluation = deployment.check(outcome.run_id, "appointments", "known_statuses")
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN


def test_a_field_that_was_left_out_is_named_with_its_type_and_never_its_value(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE case_sync_audits SET oddities = "
        """'[{"path": "listing.provider", "type": "array", "count": 3}]' """
        "WHERE sync_type = 'inbound'"
    )
    (finding,) = findings_of(deployment, "readable_fields", run_id)
    assert finding.items == ["listing.provider (array): 3"]
    assert finding.is_warning


def test_overwritten_metadata_is_reported_before_and_by_the_run_that_repairs_it(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE cases SET metadata = '\"x\"' WHERE pims_id = :id", id=appointment(-1))
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    expected = [f"alder|{days(-1, -1).start} {case.id}"]
    (before,) = findings_of(deployment, "metadata_readable", run_id)
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert outcome.success
    (repaired,) = findings_of(deployment, "metadata_readable", outcome.run_id)
    assert before.items == repaired.items == expected
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert findings_of(deployment, "metadata_readable", outcome.run_id) == []
