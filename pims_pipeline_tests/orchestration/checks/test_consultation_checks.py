"""The checks of ``consultations``: stale or foreign consultations, vitals, failed fetches."""

import dagster as dg

from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.checks.links import links_of
from pims_pipeline.providers.port import TransientError
from pims_pipeline_tests.orchestration.checks.findings import (
    WINDOW,
    appointment,
    checked_window,
    findings_of,
)
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days, keys


def test_a_consultation_that_was_never_requested_is_still_due(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE pims_appointments SET consultation_checked_at = NULL WHERE pims_id = :id",
        id=appointment(-1),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = findings_of(deployment, "consultations_idempotent", run_id)
    assert finding.items == [case.id]


def test_another_patient_s_consultation_is_named_by_partition_and_removed(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,patient,id}', "
        "'\"another\"') WHERE pims_id = :id",
        id=appointment(-2),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-2))
    (finding,) = findings_of(deployment, "patients_match", run_id)
    assert finding.items == [f"alder|{days(-2, -2).start} {case.id}"]
    assert finding.is_warning
    (again,) = findings_of(deployment, "appointments_idempotent", run_id)
    assert again.items == [appointment(-2)]
    assert findings_of(deployment, "patients_match", run_id, days(-1, 0)) == []
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    assert findings_of(deployment, "patients_match", outcome.run_id) == []


def test_a_sync_of_consultations_alone_reports_what_it_repairs(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE cases SET metadata = '\"x\"' WHERE pims_id = :id", id=appointment(-1))
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,patient,id}', "
        "'\"another\"') WHERE pims_id = :id",
        id=appointment(-2),
    )
    outcome = deployment.sync("case_sync", ["alder"], WINDOW)
    assert outcome.success
    assert outcome.run_id != run_id
    for name, offset in (("metadata_readable", -1), ("patients_match", -2)):
        (case,) = deployment.rows(
            "SELECT id FROM cases WHERE pims_id = :id", id=appointment(offset)
        )
        (finding,) = findings_of(deployment, name, outcome.run_id, phase=Phase.CASES)
        assert finding.items == [f"alder|{days(offset, offset).start} {case.id}"]
        assert finding.is_warning
    outcome = deployment.sync("case_sync", ["alder"], WINDOW)
    for name in ("metadata_readable", "patients_match"):
        assert findings_of(deployment, name, outcome.run_id, phase=Phase.CASES) == []


def test_implausible_vitals_are_named(deployment: DagsterDeployment, run_id: str) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,vitals}', "
        '\'{"implausible": ["weight_kg"]}\') WHERE pims_id = :id',
        id=appointment(-2),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-2))
    (finding,) = findings_of(deployment, "vitals_plausible", run_id)
    assert finding.items == [case.id]
    assert finding.is_warning
    checked = checked_window(deployment, Phase.CASES, run_id)
    assert checked.audit is not None
    console = ConsoleLinks("https://c.example")
    assert links_of([(checked, finding)], console).value == (
        f"- [alder, {WINDOW}](https://c.example/clinics/alder/changes/{checked.audit.id}"
        f"?date={WINDOW.start}): cases with implausible vitals, "
        f"[{case.id}](https://c.example/cases/{case.id})"
    )


def test_one_consultation_that_cannot_be_fetched_only_warns(deployment: DagsterDeployment) -> None:
    deployment.book("alder", WINDOW)
    for day in (-3, -2):
        deployment.vendors["alder"].record_appointment(appointment(day))
    deployment.vendors["alder"].broken_consultations[f"k-{appointment(-2)}"] = TransientError("503")
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    (finding,) = findings_of(deployment, "enrichment_errors", outcome.run_id)
    assert finding.is_warning


def test_many_consultations_that_cannot_be_fetched_fail_the_run(
    deployment: DagsterDeployment,
) -> None:
    window = days(-6, 0)
    deployment.book("alder", window)
    for day in range(-6, 0):
        deployment.vendors["alder"].record_appointment(appointment(day))
    for day in range(-5, 0):
        deployment.vendors["alder"].broken_consultations[f"k-{appointment(day)}"] = TransientError(
            "503"
        )
    outcome = deployment.sync("full_sync", ["alder"], window)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "consultations", "enrichment_errors")
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    # The partitions are materialized: the fetched consultations are on their cases.
    assert deployment.materialized("consultations") == keys(["alder"], window)
    assert deployment.materialized("reconciliation") == keys(["alder"], window)
