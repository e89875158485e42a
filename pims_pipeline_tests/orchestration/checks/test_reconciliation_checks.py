"""The checks of ``reconciliation``: cases to retire, cases retired in error, held deletions."""

import dagster as dg

from pims_pipeline_tests.orchestration.checks.findings import WINDOW, appointment, findings_of
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment


def test_a_case_whose_appointment_is_known_to_be_gone_would_still_be_retired(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE pims_appointments SET removed_at = now() WHERE pims_id = :id", id=appointment(-1)
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = findings_of(deployment, "reconciliation_idempotent", run_id)
    assert finding.items == [case.id]


def test_a_live_case_that_was_retired_is_named(deployment: DagsterDeployment, run_id: str) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{reconciliation}', "
        "'{\"softDeleted\": true}') WHERE pims_id = :id",
        id=appointment(-1),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = findings_of(deployment, "no_live_case_deleted", run_id)
    assert finding.items == [case.id]


def test_held_deletions_fail_the_run_but_not_its_other_clinics(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, WINDOW)
    assert deployment.sync("full_sync", SLUGS, WINDOW).success
    for each in list(deployment.vendors["alder"].appointments):
        deployment.vendors["alder"].delete(each)
    outcome = deployment.sync("full_sync", SLUGS, WINDOW)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "reconciliation", "deletion_guard")
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["alder"]
    assert deployment.failed("reconciliation") == set()
    metadata = deployment.metadata("reconciliation", f"alder|{WINDOW.start}")
    (hold,) = deployment.rows("SELECT id FROM reconciliation_holds")
    assert metadata["hold_id"] == str(hold.id)
