"""All checks: silent after a successful run; blocking ones stop only the clinic they fail."""

import dagster as dg

from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.checks import findings
from pims_pipeline.orchestration.checks.phases import CHECKS
from pims_pipeline_tests.orchestration.checks.findings import WINDOW, findings_of
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, keys


def test_no_check_finds_anything_after_a_successful_run(
    deployment: DagsterDeployment, run_id: str
) -> None:
    names = [check.__name__ for checks in CHECKS.values() for check, _ in checks]
    assert {name: findings_of(deployment, name, run_id) for name in names} == {
        name: [] for name in names
    }


def test_a_failed_check_of_appointments_stops_only_that_clinic(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, WINDOW)
    # A trigger corrupts the digest of every record of birch.
    deployment.run(
        "CREATE FUNCTION corrupt() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.digest := 'corrupted'; RETURN NEW; END $$"
    )
    deployment.run(
        "CREATE TRIGGER corrupt BEFORE INSERT ON pims_appointments FOR EACH ROW "
        f"WHEN (NEW.clinic_id = '{deployment.clinics['birch'].id}') EXECUTE FUNCTION corrupt()"
    )
    outcome = deployment.sync("full_sync", SLUGS, WINDOW)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "appointments", "appointments_idempotent")
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["birch"]
    for asset in ("consultations", "reconciliation"):
        assert deployment.materialized(asset) == keys(["alder", "cedar"], WINDOW)
        assert deployment.failed(asset) == keys(["birch"], WINDOW)
    birch = deployment.clinics["birch"].id
    assert [a.sync_type for a in outcome.audits if a.clinic_id == birch] == [Phase.INBOUND]


def test_a_check_that_a_user_evaluates_alone_covers_each_clinics_latest_window(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, WINDOW)
    assert deployment.sync("full_sync", SLUGS, WINDOW).success
    deployment.run(
        "UPDATE pims_appointments SET digest = 'corrupted' WHERE clinic_id = :clinic",
        clinic=deployment.clinics["birch"].id,
    )
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    check = dg.AssetCheckKey(dg.AssetKey("appointments"), "appointments_idempotent")
    subset = job.get_subset(asset_selection=set(), asset_check_selection={check})
    alone = subset.execute_in_process(instance=deployment.instance, raise_on_error=False)
    (evaluation,) = alone.get_asset_check_evaluations()
    assert not evaluation.passed
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["birch"]


def test_every_check_that_does_not_only_warn_is_blocking() -> None:
    warnings = {
        findings.known_statuses,
        findings.metadata_readable,
        findings.patients_match,
        findings.vitals_plausible,
        findings.readable_fields,
        findings.moments_in_the_future,
        findings.shadow_agrees,
        findings.vendor_contract,
    }
    checks = [each for found in CHECKS.values() for each in found]
    assert {check for check, blocking in checks if not blocking} == warnings
