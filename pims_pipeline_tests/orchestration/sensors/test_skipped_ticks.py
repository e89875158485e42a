"""Ticks of a phase with an unfinished run: they are skipped, counted, and alerted in the end."""

from datetime import datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.dagster_names import range_tags
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.launching import job_origin
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline_tests.orchestration.deployment import SLUGS, TODAY, DagsterDeployment, days
from pims_pipeline_tests.orchestration.harness import (
    NOON,
    SensorHarness,
    begin_audit,
    log_entries,
    make_run,
    shape,
    skips,
)


@pytest.mark.parametrize(
    ("job", "tags", "blocked"),
    [
        ("inbound_sync", range_tags(("alder", "birch"), days(0, 1)), {"alder", "birch"}),
        ("full_sync", range_tags(("birch", "cedar"), days(-5, 5)), {"birch", "cedar"}),
        ("full_sync", {"dagster/partition": f"birch|{TODAY}"}, {"birch"}),
        (
            "full_sync",
            {"dagster/backfill": "b", **range_tags(("alder", "alder"), days(0, 0))},
            {"alder"},
        ),
        ("case_sync", range_tags(("alder", "cedar"), days(0, 1)), set()),
        ("reconciliation_sync", range_tags(("alder", "cedar"), days(0, 1)), set()),
    ],
    ids=[
        "same phase",
        "full sync",
        "one partition",
        "backfill",
        "cases",
        "reconciliation",
    ],
)
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING])
def test_a_tick_that_finds_a_run_of_its_phase_is_skipped_and_counted(  # noqa: PLR0917 - parameters of a test
    harness: SensorHarness,
    job: str,
    tags: dict[str, str],
    blocked: set[str],
    status: dg.DagsterRunStatus,
    logged: pytest.LogCaptureFixture,
) -> None:
    run = make_run(harness.deployment, job, tags, status)
    free = sorted(set(SLUGS) - blocked)
    found = harness.evaluate(NOON)
    assert sorted(slug for _, slugs in shape(found) for slug in slugs) == free
    assert skips(harness.deployment) == {(slug, Phase.INBOUND): (1, NOON) for slug in blocked}
    assert log_entries(logged) == [
        {
            "event": "tick_skipped",
            "clinic": slug,
            "phase": "inbound",
            "tick": NOON.isoformat(),
            "reason": "a run of the phase is unfinished",
        }
        for slug in sorted(blocked)
    ]

    harness.deployment.instance.report_run_canceled(run)
    hour_later = NOON + timedelta(hours=1)
    assert shape(harness.evaluate(hour_later)) == [("inbound_sync", list(SLUGS))]
    assert skips(harness.deployment) == {(slug, Phase.INBOUND): (1, NOON) for slug in blocked}


@pytest.mark.parametrize(
    ("asset", "free"), [("appointments", []), ("consultations", [("inbound_sync", list(SLUGS))])]
)
def test_a_materialization_from_the_dagster_ui_blocks_only_its_own_phase(
    harness: SensorHarness, asset: str, free: list[tuple[str, list[str]]]
) -> None:
    repository = harness.deployment.definitions.get_repository_def()
    selection = frozenset({dg.AssetKey(asset)})
    harness.deployment.instance.create_run_for_job(
        job_def=repository.get_job("__ASSET_JOB").get_subset(asset_selection=selection),
        asset_selection=selection,
        tags=range_tags(("alder", "cedar"), days(0, 0)),
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=job_origin("__ASSET_JOB"),
    )
    assert shape(harness.evaluate(NOON)) == free


def test_a_run_that_waits_in_the_queue_blocks_the_next_tick(harness: SensorHarness) -> None:
    (request,) = harness.evaluate(NOON)
    harness.submit(request)
    assert harness.evaluate(NOON + timedelta(hours=1)) == []
    assert skips(harness.deployment) == {
        (slug, Phase.INBOUND): (1, NOON + timedelta(hours=1)) for slug in SLUGS
    }


def alerts_of_skips(deployment: DagsterDeployment, now: datetime) -> dict[str, object]:
    """The details of the open alerts about skipped ticks, by clinic."""
    evaluate(deployment.engine, now)
    rows = deployment.rows(
        "SELECT slug, details FROM alerts JOIN clinics ON clinics.id = clinic_id "
        "WHERE kind = 'ticks_skipped' AND ended_at IS NULL"
    )
    return {row.slug: row.details for row in rows}


@pytest.mark.parametrize(
    ("job", "tags", "status"),
    [
        ("full_sync", range_tags(("birch", "birch"), days(0, 0)), dg.DagsterRunStatus.STARTED),
        ("inbound_sync", range_tags(("birch", "birch"), days(0, 0)), dg.DagsterRunStatus.QUEUED),
        (
            "inbound_sync",
            {"dagster/backfill": "b", **range_tags(("birch", "birch"), days(-3, 0))},
            dg.DagsterRunStatus.STARTED,
        ),
    ],
    ids=["a long run", "a stuck queue", "a backfill"],
)
def test_three_ticks_skipped_in_a_row_open_an_alert_until_one_runs(
    harness: SensorHarness, job: str, tags: dict[str, str], status: dg.DagsterRunStatus
) -> None:
    deployment, hour = harness.deployment, timedelta(hours=1)
    run = make_run(deployment, job, tags, status)
    with run_liveness(deployment.engine) as liveness:
        if status is dg.DagsterRunStatus.STARTED:
            harness.stuck_after = 5 * hour
            begin_audit(harness, "birch", run.run_id, owner=liveness.owner, at=NOON)
        for tick in range(2):
            harness.evaluate(NOON + tick * hour)
        assert alerts_of_skips(deployment, NOON + 2 * hour) == {}

        harness.evaluate(NOON + 2 * hour)
        expected = {"birch": {"phase": "inbound", "ticks": 3}}
        assert alerts_of_skips(deployment, NOON + 2 * hour) == expected
        harness.evaluate(NOON + 3 * hour)
        assert alerts_of_skips(deployment, NOON + 3 * hour) == expected

    deployment.instance.report_run_canceled(run)
    assert "birch" in {
        slug for _, slugs in shape(harness.evaluate(NOON + 4 * hour)) for slug in slugs
    }
    assert alerts_of_skips(deployment, NOON + 4 * hour) == {}


def test_skipped_ticks_with_a_run_in_between_open_no_alert(harness: SensorHarness) -> None:
    deployment, hour = harness.deployment, timedelta(hours=1)
    for tick in (0, 1, 3, 4):
        run = make_run(deployment, "inbound_sync", range_tags(("birch", "birch"), days(0, 0)))
        harness.evaluate(NOON + tick * hour)
        deployment.instance.report_run_canceled(run)
        if tick == 1:
            harness.evaluate(NOON + 2 * hour)
    assert skips(deployment) == {("birch", Phase.INBOUND): (4, NOON + 4 * hour)}
    assert alerts_of_skips(deployment, NOON + 4 * hour) == {}
