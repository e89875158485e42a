"""Runs in which a clinic fails, or that are ended: the other clinics are synced."""

from dataclasses import replace

import dagster as dg

from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline.providers.port import HumanNeeded, TransientError
from pims_pipeline.store.clinics import deactivate_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.orchestration.deployment import (
    ASSETS,
    SLUGS,
    START,
    DagsterDeployment,
    days,
    keys,
)


def test_a_failing_clinic_fails_alone_in_all_three_assets(deployment: DagsterDeployment) -> None:
    window = days(-1, 1)
    for slug in SLUGS:
        deployment.book(slug, window)
    deployment.vendors["birch"].fail_next(
        TransientError("asked birch for its calendar; 503"), "listing"
    )
    outcome = deployment.sync("full_sync", SLUGS, window)
    assert not outcome.success
    run = deployment.instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(["alder", "cedar"], window)
        assert deployment.failed(asset) == keys(["birch"], window)
    # Later phases skipped the clinic, because its stored calendar is outdated.
    birch = deployment.clinics["birch"].id
    assert [
        (audit.sync_type, audit.status) for audit in outcome.audits if audit.clinic_id == birch
    ] == [(Phase.INBOUND, AuditStatus.FAILED)]


def test_the_failure_names_the_clinic_the_window_and_the_cause(
    deployment: DagsterDeployment,
) -> None:
    window = days(0, 0)
    deployment.vendors["birch"].fail_next(
        TransientError("asked birch for its calendar; 503"), "listing"
    )
    outcome = deployment.sync("full_sync", SLUGS, window)
    failure = deployment.step_failure(outcome.run_id, "appointments").step_failure_data
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == (
        f"inbound failed for 1 of 3 clinics: birch, {window}: asked birch for its calendar; 503"
    )
    shown = failure.user_failure_data.metadata["failed"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {
            "clinic": "birch",
            "window": str(window),
            "error": "TransientError",
            "message": "asked birch for its calendar; 503",
        }
    ]


def test_checks_cover_the_good_clinics_of_a_run_that_partly_failed(
    deployment: DagsterDeployment,
) -> None:
    window = days(0, 0)
    deployment.vendors["birch"].fail_next(TransientError("503"), "listing")
    outcome = deployment.sync("full_sync", SLUGS, window)
    assert deployment.check(outcome.run_id, "appointments", "appointments_idempotent").passed
    incomplete = deployment.check(outcome.run_id, "appointments", "snapshot_complete")
    assert not incomplete.passed
    shown = incomplete.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["birch"]
    assert deployment.check(outcome.run_id, "reconciliation", "no_live_case_deleted").passed


def test_a_failed_window_does_not_affect_the_clinic_s_other_windows(
    deployment: DagsterDeployment,
) -> None:
    deployment.vendors["alder"].fail_next(TransientError("503"), "listing")
    deployment.sync("inbound_sync", ["alder"], days(-39, 0))
    assert deployment.failed("appointments") == keys(["alder"], days(-39, -9))
    assert deployment.materialized("appointments") == keys(["alder"], days(-8, 0))


def test_refused_credentials_are_tried_once_in_a_run(deployment: DagsterDeployment) -> None:
    vendor = deployment.vendors["alder"]
    vendor.credentials = neo_credentials("vet", "changed")
    window = days(-39, 0)
    outcome = deployment.sync("full_sync", ["alder"], window)
    assert not outcome.success
    assert vendor.logins == 1
    assert vendor.listings == 0
    assert deployment.failed("reconciliation") == keys(["alder"], window)


def test_an_account_that_needs_a_person_is_tried_once_in_a_run(
    deployment: DagsterDeployment,
) -> None:
    vendor = deployment.vendors["alder"]
    vendor.fail_next(HumanNeeded("the account of alder is locked"), "login", times=5)
    assert not deployment.sync("full_sync", ["alder"], days(-39, 0)).success
    assert vendor.logins == 1


def test_a_deactivated_clinic_fails_with_a_reason_and_alone(deployment: DagsterDeployment) -> None:
    with transaction(deployment.engine) as connection:
        deactivate_clinic(connection, "birch")
    window = days(0, 0)
    outcome = deployment.sync("full_sync", SLUGS, window)
    assert deployment.materialized("consultations") == keys(["alder", "cedar"], window)
    assert deployment.failed("appointments") == keys(["birch"], window)
    failure = deployment.step_failure(outcome.run_id, "appointments").step_failure_data
    assert failure.user_failure_data is not None
    assert "clinic 'birch' was deactivated" in str(failure.user_failure_data.description)
    assert deployment.vendors["birch"].logins == 0


def test_an_unknown_clinic_fails_with_a_reason_and_alone(deployment: DagsterDeployment) -> None:
    register_clinics(deployment.instance, [*SLUGS, "nowhere"])
    window = days(0, 0)
    outcome = deployment.sync("full_sync", [*SLUGS, "nowhere"], window)
    assert deployment.materialized("reconciliation") == keys(SLUGS, window)
    assert deployment.failed("appointments") == keys(["nowhere"], window)
    failure = deployment.step_failure(outcome.run_id, "appointments").step_failure_data
    assert failure.user_failure_data is not None
    assert "unknown clinic 'nowhere'" in str(failure.user_failure_data.description)


def test_an_unexpected_error_fails_its_clinic_without_showing_its_message(
    deployment: DagsterDeployment,
) -> None:
    window = days(0, 0)
    deployment.vendors["cedar"].fail_next(KeyError("Rumpelstiltskin"), "listing")
    outcome = deployment.sync("inbound_sync", SLUGS, window)
    failure = deployment.step_failure(outcome.run_id, "appointments").step_failure_data
    assert failure.user_failure_data is not None
    message = str(failure.user_failure_data.description)
    assert "unexpected KeyError in count_request, line" in message
    assert "Rumpelstiltskin" not in message
    assert deployment.materialized("appointments") == keys(["alder", "birch"], window)


def test_the_next_run_repairs_failed_partitions(deployment: DagsterDeployment) -> None:
    window = days(0, 1)
    deployment.vendors["birch"].fail_next(TransientError("503"), "listing")
    deployment.sync("full_sync", SLUGS, window)
    assert deployment.sync("full_sync", ["birch"], window).success
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(SLUGS, window)
        assert deployment.failed(asset) == set()


def test_a_clinic_whose_vendor_stalls_fails_alone_and_frees_its_worker(
    deployment: DagsterDeployment, sources: Sources
) -> None:
    window = days(-1, 0)
    for slug in SLUGS:
        deployment.book(slug, window)
    deployment.vendors["alder"].hanging.add("listing")
    limited = replace(sources, clinics_at_once=1, clinic_timeout=3.0)
    deployment = replace(deployment, definitions=code_location(limited, partition_start=START))
    outcome = deployment.sync("full_sync", SLUGS, window)

    assert not outcome.success
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(["birch", "cedar"], window)
        assert deployment.failed(asset) == keys(["alder"], window)
    (failed,) = (audit for audit in outcome.audits if audit.status is AuditStatus.FAILED)
    assert failed.clinic_id == deployment.clinics["alder"].id
    assert failed.error_message is not None
    assert failed.error_message.startswith("TimeLimitReached: the phase inbound of alder")
    assert "PIMS_CLINIC_TIMEOUT_SECONDS" in failed.error_message


def test_a_run_at_its_time_limit_ends_and_fails_the_clinics_it_did_not_reach(
    deployment: DagsterDeployment, sources: Sources
) -> None:
    window = days(0, 0)
    deployment.vendors["birch"].hanging.add("listing")
    limited = replace(sources, clinics_at_once=1, run_timeout=3.0)
    deployment = replace(deployment, definitions=code_location(limited, partition_start=START))
    outcome = deployment.sync("inbound_sync", SLUGS, window)

    assert not outcome.success
    assert deployment.materialized("appointments") == keys(["alder"], window)
    assert deployment.failed("appointments") == keys(["birch", "cedar"], window)
    (failed,) = (audit for audit in outcome.audits if audit.status is AuditStatus.FAILED)
    assert failed.clinic_id == deployment.clinics["birch"].id
    assert "PIMS_RUN_TIMEOUT_SECONDS" in (failed.error_message or "")


def test_dagster_ends_a_run_that_does_not_end_by_itself(deployment: DagsterDeployment) -> None:
    outcome = deployment.sync("inbound_sync", ["alder"], days(0, 0))
    run = deployment.instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.tags["dagster/max_runtime"] == str(7200 + 600)


def test_an_interrupted_run_is_recorded_and_the_next_one_completes(
    deployment: DagsterDeployment,
) -> None:
    window = days(-1, 0)
    deployment.book("alder", window)
    # What Dagster turns Ctrl-C and SIGTERM into.
    deployment.vendors["alder"].fail_next(dg.DagsterExecutionInterruptedError(), "listing")
    outcome = deployment.sync("full_sync", ["alder"], window)
    assert outcome.interrupted
    assert not outcome.success
    assert deployment.rows("SELECT id FROM cases") == []
    again = deployment.sync("full_sync", ["alder"], window)
    assert again.success
    assert not again.interrupted
    (audit,) = deployment.rows(
        "SELECT status FROM case_sync_audits WHERE run_id = :id", id=outcome.run_id
    )
    assert audit.status == AuditStatus.INTERRUPTED
