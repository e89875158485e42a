"""Runs over every kind of selection: requests to vendors, and materializations."""

import pytest
from dagster._core.definitions.job_base import RepoBackedJob
from dagster._core.execution.api import execute_run

from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.partitions import register_clinics
from pims_pipeline.sync.windows import OutsidePartitions
from pims_pipeline_tests.orchestration.deployment import (
    ASSETS,
    SLUGS,
    DagsterDeployment,
    days,
    keys,
)


def test_a_single_key_is_synced_through_all_three_phases(deployment: DagsterDeployment) -> None:
    today = days(0, 0)
    deployment.book("birch", days(-1, 1))
    outcome = deployment.sync("full_sync", ["birch"], today)
    assert outcome.success
    assert [audit.sync_type for audit in outcome.audits] == list(Phase)
    assert {audit.run_id for audit in outcome.audits} == {outcome.run_id}
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(["birch"], today)
        assert deployment.failed(asset) == set()
    assert [row.pims_id for row in deployment.rows("SELECT pims_id FROM cases")] == [
        f"birch-{today.start}"
    ]
    assert deployment.vendors["birch"].listed_windows == [today]


def test_a_single_key_chosen_in_the_ui_is_synced_like_a_range(
    deployment: DagsterDeployment,
) -> None:
    register_clinics(deployment.instance, SLUGS)
    (key,) = keys(["cedar"], days(0, 0))
    job = RepoBackedJob("full_sync", deployment.definitions.get_repository_def())
    tags = job.get_definition().get_tags_for_partition_key(key, selected_asset_keys=None)
    run = deployment.instance.create_run_for_job(job_def=job.get_definition(), tags=tags)
    assert execute_run(job, run, deployment.instance).success
    for asset in ASSETS:
        assert deployment.materialized(asset) == {key}


def test_a_month_of_one_clinic_is_one_run_with_one_listing_and_one_login(
    deployment: DagsterDeployment,
) -> None:
    window = days(-20, 9)
    deployment.book("alder", window)
    outcome = deployment.sync("full_sync", ["alder"], window)
    assert outcome.success
    assert deployment.materialized("reconciliation") == keys(["alder"], window)
    assert deployment.vendors["alder"].listed_windows == [window]
    assert deployment.vendors["alder"].logins == 1
    assert [run.run_id for run in deployment.instance.get_runs()] == [outcome.run_id]


def test_more_than_31_days_are_listed_in_pieces(deployment: DagsterDeployment) -> None:
    window = days(-39, 0)
    deployment.sync("inbound_sync", ["alder"], window)
    assert deployment.vendors["alder"].listed_windows == [days(-39, -9), days(-8, 0)]
    assert deployment.materialized("appointments") == keys(["alder"], window)


def test_a_box_of_clinics_and_dates_is_one_run(deployment: DagsterDeployment) -> None:
    window = days(-1, 1)
    for slug in SLUGS:
        deployment.book(slug, window)
    outcome = deployment.sync("full_sync", SLUGS, window)
    assert outcome.success
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(SLUGS, window)
    assert {slug: vendor.listed_windows for slug, vendor in deployment.vendors.items()} == {
        slug: [window] for slug in SLUGS
    }


@pytest.mark.parametrize(
    ("job", "asset"),
    [
        ("inbound_sync", "appointments"),
        ("case_sync", "consultations"),
        ("reconciliation_sync", "reconciliation"),
    ],
)
def test_each_phase_runs_alone(deployment: DagsterDeployment, job: str, asset: str) -> None:
    window = days(-1, 0)
    assert deployment.sync(job, ["cedar"], window).success
    assert {
        each: deployment.materialized(each) for each in ASSETS if deployment.materialized(each)
    } == {asset: keys(["cedar"], window)}


def test_a_wrong_run_configuration_fails_before_any_request_to_a_vendor(
    deployment: DagsterDeployment,
) -> None:
    config = {"ops": {"consultations": {"config": {"parallel_batch_size": 0}}}}
    assert not deployment.sync("case_sync", ["alder"], days(0, 0), run_config=config).success
    assert deployment.vendors["alder"].logins == 0


def test_dates_without_partitions_are_refused_before_anything_runs(
    deployment: DagsterDeployment,
) -> None:
    with pytest.raises(OutsidePartitions, match="choose other dates"):
        deployment.sync("full_sync", ["alder"], days(-61, 0))
    assert list(deployment.instance.get_runs()) == []


def test_a_second_run_changes_nothing(deployment: DagsterDeployment) -> None:
    window = days(-2, 2)
    deployment.book("alder", window)
    deployment.vendors["alder"].record_appointment(f"alder-{days(-1, -1).start}")
    deployment.sync("full_sync", ["alder"], window)
    before = deployment.rows("SELECT * FROM cases ORDER BY id")
    again = deployment.sync("full_sync", ["alder"], window)
    assert again.success
    assert deployment.rows("SELECT * FROM cases ORDER BY id") == before
    assert deployment.rows("SELECT * FROM case_events WHERE run_id = :id", id=again.run_id) == []
