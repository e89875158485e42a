"""Held deletions, and the limits of a single run, set in the run configuration."""

from datetime import UTC, datetime
from uuid import UUID

import dagster as dg

from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import reject, waiting_hold
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment, days, keys

WINDOW = days(-5, 2)


def _reconciliation(**config: object) -> dict[str, object]:
    return {"ops": {"reconciliation": {"config": config}}}


def _held(deployment: DagsterDeployment) -> str:
    """All but one of eight appointments vanish from the calendar of birch."""
    deployment.book("birch", WINDOW)
    assert deployment.sync("full_sync", ["birch"], WINDOW).success
    for day in list(WINDOW)[1:]:
        deployment.vendors["birch"].delete(f"birch-{day}")
    outcome = deployment.sync("reconciliation_sync", ["birch"], WINDOW)
    assert not outcome.success
    assert [audit.status for audit in outcome.audits] == [AuditStatus.HELD]
    assert not deployment.check(outcome.run_id, "reconciliation", "deletion_guard").passed
    (hold,) = deployment.rows("SELECT id FROM reconciliation_holds WHERE status = 'open'")
    return str(hold.id)


def _retired(deployment: DagsterDeployment) -> int:
    return len(
        deployment.rows(
            "SELECT id FROM cases WHERE metadata #>> '{reconciliation,softDeleted}' = 'true'"
        )
    )


def test_a_hold_is_approved_through_the_run_config(deployment: DagsterDeployment) -> None:
    hold = _held(deployment)
    outcome = deployment.sync(
        "reconciliation_sync",
        ["birch"],
        WINDOW,
        run_config=_reconciliation(approve_hold=hold, approved_by="Sam"),
    )
    assert outcome.success
    assert _retired(deployment) == 7
    (row,) = deployment.rows("SELECT status, decided_by FROM reconciliation_holds")
    assert (row.status, row.decided_by) == ("approved", "Sam")
    assert deployment.materialized("reconciliation") == keys(["birch"], WINDOW)


def test_a_hold_of_other_partitions_is_refused_and_stays_open(
    deployment: DagsterDeployment,
) -> None:
    hold = _held(deployment)
    outcome = deployment.sync(
        "reconciliation_sync",
        ["birch"],
        days(-5, 0),
        run_config=_reconciliation(approve_hold=hold),
    )
    assert not outcome.success
    assert _retired(deployment) == 0
    (row,) = deployment.rows("SELECT status FROM reconciliation_holds")
    assert row.status == "open"


def test_an_id_that_is_no_hold_fails_with_a_message(deployment: DagsterDeployment) -> None:
    deployment.book("birch", WINDOW)
    outcome = deployment.sync(
        "reconciliation_sync",
        ["birch"],
        WINDOW,
        run_config=_reconciliation(approve_hold="yes please"),
    )
    failure = deployment.step_failure(outcome.run_id, "reconciliation")
    assert "approve_hold is not the id of a hold" in str(failure)


def test_a_run_may_set_its_own_limits(deployment: DagsterDeployment) -> None:
    _held(deployment)
    outcome = deployment.sync(
        "reconciliation_sync",
        ["birch"],
        WINDOW,
        run_config=_reconciliation(deletion_guard_min=7),
    )
    assert outcome.success
    assert _retired(deployment) == 7
    (row,) = deployment.rows("SELECT status FROM reconciliation_holds")
    assert row.status == "superseded"


def test_after_a_rejected_hold_the_cases_are_kept_and_the_check_warns(
    deployment: DagsterDeployment,
) -> None:
    hold = _held(deployment)
    with transaction(deployment.engine) as connection:
        waiting = waiting_hold(connection, UUID(hold))
        reject(connection, waiting, decided_by="Sam", now=datetime.now(UTC))
    outcome = deployment.sync("reconciliation_sync", ["birch"], WINDOW)
    assert outcome.success
    assert [audit.status for audit in outcome.audits] == [AuditStatus.COMPLETED]
    assert _retired(deployment) == 0
    evaluation = deployment.check(outcome.run_id, "reconciliation", "deletion_guard")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert hold in str(evaluation.metadata)
    key = f"birch|{list(WINDOW)[1]}"
    assert deployment.metadata("reconciliation", key)["kept_by_hold_id"] == hold
    assert deployment.rows("SELECT id FROM reconciliation_holds WHERE status = 'open'") == []
