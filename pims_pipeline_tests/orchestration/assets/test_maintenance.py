"""The nightly maintenance does every part, shows findings, and names what failed."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.domain.adoption.v4 import Layout
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.domain.records.shapes import FieldShape
from pims_pipeline.orchestration.assets import maintenance_parts
from pims_pipeline.orchestration.assets.maintenance import YESTERDAY_CHECK
from pims_pipeline.orchestration.assets.maintenance_parts import MaintenanceRun
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.adoptions import add_adoption
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.shapes.writing import add_shapes
from pims_pipeline_tests.adoption.planted import V4Installation
from pims_pipeline_tests.orchestration.assets.maintenance import run_maintenance
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days

NOW = datetime.now(UTC)
# Includes yesterday in every time zone.
AROUND_YESTERDAY = days(-2, 0)
OLD = NOW - timedelta(days=500)


def maintained(deployment: DagsterDeployment, *, retention_days: int = 400) -> MaintenanceRun:
    """Do every part of the maintenance, without Dagster."""
    done = MaintenanceRun(
        deployment.engine,
        Rules(EnrichmentPolicy(), DeletionPolicy(), retention_days),
        datetime.now(UTC),
    )
    done.do()
    return done


def evaluation(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = result.get_asset_check_evaluations()
    return found


def leave_audit(deployment: DagsterDeployment, slug: str) -> None:
    """Store the audit of a killed process; no process has its lease."""
    deployment.run(
        "INSERT INTO case_sync_audits (clinic_id, sync_type, window_start, window_end, run_id, "
        "owner) VALUES (:id, 'inbound', '2026-03-01', '2026-03-02', 'gone', 77)",
        id=deployment.clinics[slug].id,
    )


def test_audits_of_dead_processes_are_interrupted_and_those_of_living_ones_are_not(
    deployment: DagsterDeployment,
) -> None:
    leave_audit(deployment, "alder")
    leave_audit(deployment, "cedar")
    deployment.run("UPDATE clinics SET is_active = false WHERE slug = 'cedar'")
    with run_liveness(deployment.engine) as living:
        deployment.run(
            "INSERT INTO case_sync_audits (clinic_id, sync_type, window_start, window_end, "  # noqa: S608 - a number of ours
            "run_id, owner) SELECT id, 'inbound', '2026-03-01', '2026-03-02', 'going', "
            f"{living.owner} FROM clinics WHERE slug = 'birch'"
        )
        done = maintained(deployment)
    assert done.counts["audits_interrupted"] == 2
    assert done.failures == []
    rows = deployment.rows("SELECT run_id, status FROM case_sync_audits ORDER BY run_id, status")
    assert [f"{row.run_id}: {row.status}" for row in rows] == [
        "going: in_progress",
        "gone: interrupted",
        "gone: interrupted",
    ]


def test_records_past_retention_are_deleted_but_audits_and_events_stay(
    deployment: DagsterDeployment,
) -> None:
    deployment.book("alder", AROUND_YESTERDAY)
    assert deployment.sync("inbound_sync", ["alder"], AROUND_YESTERDAY).success
    deployment.run(
        "UPDATE pims_appointments SET business_date = business_date - 500, last_seen_at = :old",
        old=OLD,
    )
    deployment.run("UPDATE case_sync_audits SET created_at = :old, updated_at = :old", old=OLD)
    kept = (
        deployment.rows("SELECT * FROM case_events"),
        deployment.rows("SELECT * FROM case_sync_audits"),
    )
    assert maintained(deployment, retention_days=501).counts["landed_records_pruned"] == 0
    assert maintained(deployment, retention_days=400).counts["landed_records_pruned"] == 3
    assert deployment.rows("SELECT pims_id FROM pims_appointments") == []
    assert (
        deployment.rows("SELECT * FROM case_events"),
        deployment.rows("SELECT * FROM case_sync_audits"),
    ) == kept


@pytest.mark.parametrize(("retention_days", "pruned"), [(400, 1), (60, 2)])
def test_shapes_are_kept_for_a_quarter_or_the_retention_if_that_is_shorter(
    deployment: DagsterDeployment, retention_days: int, pruned: int
) -> None:
    with transaction(deployment.engine) as connection:
        for weeks in (0, 12, 14):
            add_shapes(
                connection,
                deployment.clinics["alder"],
                (FieldShape("listing", "array"),),
                NOW - timedelta(weeks=weeks),
            )
    done = maintained(deployment, retention_days=retention_days)
    assert done.counts["vendor_shapes_pruned"] == pruned
    assert done.failures == []


def test_the_metadata_has_what_was_done_as_numbers(deployment: DagsterDeployment) -> None:
    leave_audit(deployment, "birch")
    result = run_maintenance(deployment)
    assert result.success
    (materialization,) = result.asset_materializations_for_node("maintenance")
    metadata = materialization.metadata
    assert metadata["audits_interrupted"] == dg.MetadataValue.int(1)
    assert metadata["clinics_checked"] == dg.MetadataValue.int(3)
    assert set(metadata) >= {
        "sessions_dropped",
        "leases_dropped",
        "idempotency_keys_dropped",
        "failures_pruned",
        "alerts_pruned",
        "requests_pruned",
        "vendor_shapes_pruned",
        "landed_records_pruned",
    }
    assert evaluation(result).passed


def test_tampering_with_yesterday_fails_the_check_for_that_clinic(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, AROUND_YESTERDAY)
    assert deployment.sync("full_sync", SLUGS, AROUND_YESTERDAY).success
    deployment.run("DELETE FROM cases WHERE clinic_id = :id", id=deployment.clinics["birch"].id)
    before = {slug: vendor.listings for slug, vendor in deployment.vendors.items()}
    result = run_maintenance(deployment)
    # Only the check fails: the maintenance did its work.
    assert result.success
    check = evaluation(result)
    assert (check.check_name, check.passed) == (YESTERDAY_CHECK, False)
    assert check.severity is dg.AssetCheckSeverity.ERROR
    shown = check.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [(record.data["check"], record.data["clinic"]) for record in shown.records] == [
        ("appointments_idempotent", "birch")
    ]
    assert "/clinics/birch/changes/" in str(check.metadata["console"].value)
    assert {slug: vendor.listings for slug, vendor in deployment.vendors.items()} == before


def test_a_part_that_fails_is_named_and_the_others_are_done(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> int:
        raise KeyError("Rumpelstiltskin")

    leave_audit(deployment, "alder")
    monkeypatch.setattr(maintenance_parts, "drop_expired_sessions", breaks)
    monkeypatch.setattr(maintenance_parts, "prune_landed_records", lambda *_, **__: breaks())
    result = run_maintenance(deployment)
    assert not result.success
    (materialization,) = result.asset_materializations_for_node("maintenance")
    assert materialization.metadata["audits_interrupted"] == dg.MetadataValue.int(1)
    assert evaluation(result).passed
    failure = result.failure_data_for_node("maintenance")
    assert failure is not None
    assert failure.user_failure_data is not None
    shown = failure.user_failure_data.metadata["failed"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [(record.data["part"], record.data["clinic"]) for record in shown.records] == [
        ("sessions", ""),
        *(("landed records", slug) for slug in SLUGS),
    ]
    message = str(failure.user_failure_data.description)
    assert "unexpected KeyError" in message
    assert "Rumpelstiltskin" not in message


def test_it_runs_every_night_and_is_never_retried(deployment: DagsterDeployment) -> None:
    schedule = deployment.definitions.resolve_schedule_def("nightly_maintenance")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("40 3 * * *", "UTC")
    tags = deployment.definitions.resolve_job_def("nightly_maintenance").run_tags
    assert tags["dagster/max_retries"] == "0"


def test_adopted_clinics_are_compared_and_one_that_cannot_be_is_named(
    deployment: DagsterDeployment,
) -> None:
    url = deployment.engine.url.render_as_string(hide_password=False)
    adopted = {slug: deployment.clinics[slug].id for slug in ("alder", "birch")}
    with (
        V4Installation(url, Layout.DEPLOYED) as theirs,
        transaction(deployment.engine) as connection,
    ):
        theirs.insert("clinics", id=adopted["alder"], name="Alder", slug="alder")
        for slug, clinic_id in adopted.items():
            add_adoption(
                connection,
                clinic_id=clinic_id,
                layout=Layout.DEPLOYED,
                their_schema=theirs.schema if slug == "alder" else "nowhere",
                their_clinic_id=clinic_id,
            )
    deployment.book("alder", AROUND_YESTERDAY)
    assert deployment.sync("full_sync", ["alder"], AROUND_YESTERDAY).success

    done = maintained(deployment, retention_days=400)

    assert done.counts["adopted_clinics_compared"] == 1
    assert done.counts["adopted_clinics_agreeing"] == 0
    assert [(each.part, each.clinic) for each in done.failures] == [("adopted clinics", "birch")]
    assert "no v4.0 installation" in done.failures[0].message
    (day,) = deployment.rows("SELECT differences, by_kind FROM adoption_diffs")
    booked = len(AROUND_YESTERDAY)
    assert (day.differences, day.by_kind) == (booked, {"missing_there": booked})
