"""Runs whose process died or is stuck: ``scheduled_syncs`` ends them, and no others."""

from datetime import datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.dagster_names import range_tags
from pims_pipeline.orchestration.sensors.abandoned_runs import IDLE_LIMIT
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline_tests.orchestration.deployment import SLUGS, days
from pims_pipeline_tests.orchestration.harness import (
    MINUTE,
    NOON,
    SensorHarness,
    begin_audit,
    log_entries,
    make_run,
    shape,
)


def started_run(harness: SensorHarness, owner: int, at: datetime) -> str:
    """A run that Dagster believes to be executed, with an audit of the process ``owner``."""
    tags = range_tags(("alder", "alder"), days(0, 0))
    run = make_run(harness.deployment, "inbound_sync", tags)
    harness.deployment.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "inbound_sync"), run.run_id
    )
    begin_audit(harness, "alder", run.run_id, owner=owner, at=at)
    return run.run_id


def status_of(harness: SensorHarness, run_id: str) -> dg.DagsterRunStatus:
    run = harness.deployment.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_died_is_ended_and_blocks_nothing_any_more(
    harness: SensorHarness, logged: pytest.LogCaptureFixture
) -> None:
    run_id = started_run(harness, owner=4711, at=NOON - IDLE_LIMIT)
    assert shape(harness.evaluate(NOON)) == [("inbound_sync", list(SLUGS))]
    assert status_of(harness, run_id) is dg.DagsterRunStatus.FAILURE
    assert log_entries(logged) == [{"event": "abandoned_run_ended", "run_id": run_id}]
    # A process that wakes up later can then write nothing for the failed run.
    with transaction(harness.deployment.engine) as connection:
        assert [each.status for each in audits_of_run(connection, run_id)] == ["interrupted"]


def test_a_run_with_recent_progress_or_a_lease_goes_on(harness: SensorHarness) -> None:
    recent = started_run(harness, owner=4711, at=NOON - IDLE_LIMIT + MINUTE)
    with run_liveness(harness.deployment.engine) as liveness:
        slow = started_run(harness, owner=liveness.owner, at=NOON - timedelta(hours=2))
        assert shape(harness.evaluate(NOON)) == [("inbound_sync", ["birch", "cedar"])]
    for run_id in (recent, slow):
        assert status_of(harness, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("reachable", [True, False])
def test_a_stuck_run_with_a_lease_is_terminated_and_blocks_nothing_any_more(
    harness: SensorHarness,
    logged: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reachable: bool,
) -> None:
    terminated: list[str] = []

    def terminate(run_id: str) -> bool:
        terminated.append(run_id)
        if not reachable:
            raise dg.DagsterInvariantViolationError("its code server is gone")
        return True

    monkeypatch.setattr(harness.deployment.instance.run_launcher, "terminate", terminate)
    with run_liveness(harness.deployment.engine) as liveness:
        at = NOON - timedelta(hours=2) - IDLE_LIMIT
        run_id = started_run(harness, owner=liveness.owner, at=at)
        assert shape(harness.evaluate(NOON)) == [("inbound_sync", list(SLUGS))]
    assert status_of(harness, run_id) is dg.DagsterRunStatus.FAILURE
    assert terminated == [run_id]
    details = {"reached": True} if reachable else {"error": "DagsterInvariantViolationError"}
    event = "stuck_run_terminated" if reachable else "stuck_run_not_terminated"
    assert log_entries(logged) == [
        {"event": event, "run_id": run_id, **details},
        {"event": "abandoned_run_ended", "run_id": run_id},
    ]


def test_a_run_that_syncs_nothing_is_never_ended(harness: SensorHarness) -> None:
    run = make_run(harness.deployment, "nightly_maintenance", {})
    harness.deployment.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "nightly_maintenance"), run.run_id
    )
    harness.evaluate(NOON + timedelta(days=3))
    assert status_of(harness, run.run_id) is dg.DagsterRunStatus.STARTED
