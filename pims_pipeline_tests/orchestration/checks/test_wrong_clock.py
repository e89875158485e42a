"""A host with a wrong clock writes nothing, launches nothing, and opens an alert."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.alerting.delivery import Alerting
from pims_pipeline.domain.moments import WrongClock
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.orchestration.sensors.alerts import alerting
from pims_pipeline_tests.orchestration.assets.maintenance import run_maintenance
from pims_pipeline_tests.orchestration.checks.findings import findings_of
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days
from pims_pipeline_tests.orchestration.sensors.recorder import Recorder

WINDOW = days(-1, 0)
AHEAD = timedelta(days=400)


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Put this host's clock ahead."""
    monkeypatch.setattr(
        "pims_pipeline.store.database.clock.utc_now", lambda: datetime.now(UTC) + ahead
    )


@pytest.mark.parametrize("job", ["full_sync", "inbound_sync", "case_sync", "reconciliation_sync"])
def test_a_run_fails_before_it_writes_anything_and_names_both_times(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    deployment.book("alder", WINDOW)
    set_clock(monkeypatch, AHEAD)
    outcome = deployment.sync(job, ["alder"], WINDOW)
    assert not outcome.success
    assert list(outcome.audits) == []
    assert deployment.rows("SELECT id FROM cases") == []
    assert deployment.vendors["alder"].listings == 0
    log = "\n".join(str(entry) for entry in deployment.instance.all_logs(outcome.run_id))
    assert "WrongClock" in log
    assert f"shows {datetime.now(UTC) + AHEAD:%Y-%m-%d}" in log
    assert f"which shows {datetime.now(UTC):%Y-%m-%d}" in log


def test_the_maintenance_deletes_nothing_under_a_wrong_clock(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.run(
        "INSERT INTO sync_failures (clinic_id, provider_type, phase, record_key, error_class, "
        "error_message, first_failed_at, last_failed_at, resolved_at) VALUES "
        "(:id, 'idexx_neo', 'inbound', '1', 'E', 'e', now(), now(), now())",
        id=deployment.clinics["alder"].id,
    )
    set_clock(monkeypatch, 2 * AHEAD)
    assert not run_maintenance(deployment).success
    assert len(deployment.rows("SELECT id FROM sync_failures")) == 1


def test_no_schedule_is_evaluated_under_a_wrong_clock(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = deployment.definitions.get_repository_def().get_sensor_def("scheduled_syncs")
    context = dg.build_sensor_context(
        instance=deployment.instance,
        repository_def=deployment.definitions.get_repository_def(),
        resources={"store": deployment.engine},
    )
    set_clock(monkeypatch, AHEAD)
    with pytest.raises(WrongClock, match="ahead of the database's"):
        sensor(context)


def test_every_active_clinic_has_an_alert_in_one_message_until_the_clock_is_right(
    deployment: DagsterDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.run(
        "UPDATE clinic_schedule_configs SET sync_schedules = "
        """'{"inbound": "off", "cases": "off", "reconciliation": "off"}'"""
    )
    recorder = Recorder()

    def tick() -> None:
        context = dg.build_sensor_context(
            instance=deployment.instance,
            resources={
                "store": deployment.engine,
                "rules": Rules(EnrichmentPolicy(), DeletionPolicy()),
                "alerts": Alerting(notifier=recorder),
            },
        )
        alerting(context)

    set_clock(monkeypatch, AHEAD)
    tick()
    (message,) = recorder.taken
    assert (message.kind, message.event) == ("wrong_clock", "started")
    assert {entry.clinic for entry in message.entries} == set(SLUGS)
    ahead = {int(entry.details["seconds_ahead"]) for entry in message.entries}
    assert all(abs(each - AHEAD.total_seconds()) < 30 for each in ahead)
    (opened,) = deployment.rows("SELECT max(opened_at) AS at FROM alerts")
    assert opened.at < datetime.now(UTC) + timedelta(minutes=1)
    monkeypatch.undo()
    tick()
    assert [each.event for each in recorder.taken] == ["started", "ended"]


def test_the_next_run_repairs_what_a_wrong_clock_wrote_and_its_check_warns(
    deployment: DagsterDeployment,
) -> None:
    deployment.book("alder", WINDOW)
    first = deployment.sync("full_sync", ["alder"], WINDOW)
    assert findings_of(deployment, "moments_in_the_future", first.run_id, WINDOW) == []
    later = "+ interval '400 days'"
    deployment.run(f"UPDATE pims_appointments SET last_seen_at = last_seen_at {later}")  # noqa: S608 - fixed text
    deployment.run(
        f"UPDATE case_sync_audits SET created_at = created_at {later}, "  # noqa: S608 - fixed text
        f"updated_at = updated_at {later}"
    )
    gone = f"alder-{WINDOW.start}"
    deployment.vendors["alder"].delete(gone)
    second = deployment.sync("full_sync", ["alder"], WINDOW)
    assert second.success
    assert [audit.status for audit in second.audits] == [AuditStatus.COMPLETED] * 3
    (case,) = deployment.rows("SELECT metadata FROM cases WHERE pims_id = :id", id=gone)
    assert case.metadata["reconciliation"]["softDeleted"]
    evaluation = deployment.check(second.run_id, "appointments", "moments_in_the_future")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    third = deployment.sync("full_sync", ["alder"], WINDOW)
    assert deployment.check(third.run_id, "appointments", "moments_in_the_future").passed
