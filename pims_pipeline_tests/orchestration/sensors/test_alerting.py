"""The sensor of alerts: its messages, its failures, and the pauses that Slack requests."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.alerting.delivery import Alerting
from pims_pipeline.alerting.messages import CHECKS
from pims_pipeline.alerting.notifiers import DeliveryFailed
from pims_pipeline.domain.alerts import OVERDUE_GRACE
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.observability.heartbeat import Heartbeat
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Rules, Sources
from pims_pipeline.orchestration.sensors.alerts import AlertsNotDelivered, alerting
from pims_pipeline.providers.idexx_neo.description import neo_credentials
from pims_pipeline_tests.observability.stand_ins import HANG_UP, Canned, Watcher, serving
from pims_pipeline_tests.orchestration.deployment import START, DagsterDeployment, days
from pims_pipeline_tests.orchestration.sensors.recorder import Recorder
from pims_pipeline_tests.providers.stalling_server import (
    Manner,
    dripping_headers,
    endless_body,
    stalling_server,
)


@dataclass
class Sensor:
    """The sensor, its cursor, and its notifier."""

    deployment: DagsterDeployment
    recorder: Recorder = field(default_factory=Recorder)
    cursor: str | None = None
    heartbeat: Heartbeat | None = None

    def tick(self) -> str:
        """Evaluate the sensor as the daemon does, and return its message."""
        context = dg.build_sensor_context(
            instance=self.deployment.instance,
            cursor=self.cursor,
            resources={
                "store": self.deployment.engine,
                "rules": Rules(EnrichmentPolicy(), DeletionPolicy()),
                "alerts": Alerting(notifier=self.recorder, heartbeat=self.heartbeat),
            },
        )
        result = alerting(context)
        self.cursor = context.cursor
        assert isinstance(result, dg.SkipReason)
        return str(result.skip_message)


@pytest.fixture
def sensor(deployment: DagsterDeployment) -> Sensor:
    # Only the calendar of alder is scheduled, from now on.
    deployment.run(
        "UPDATE clinic_schedule_configs SET sync_schedules = "
        """'{"inbound": "off", "cases": "off", "reconciliation": "off"}'"""
    )
    deployment.run(
        "UPDATE clinic_schedule_configs SET sync_schedules = sync_schedules || "
        """'{"inbound": "*/15 * * * *"}' WHERE clinic_id = :id""",
        id=deployment.clinics["alder"].id,
    )
    return Sensor(deployment)


def grow_overdue(deployment: DagsterDeployment) -> None:
    """Schedule the calendar of alder since an hour ago."""
    since = datetime.now(UTC) - timedelta(minutes=45) - OVERDUE_GRACE
    deployment.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")
    deployment.run("UPDATE clinics SET scheduled_since = :since", since=since)
    deployment.run("UPDATE pims_credentials SET updated_at = :since", since=since)


def test_the_location_has_the_sensor_and_it_runs_by_itself(deployment: DagsterDeployment) -> None:
    found = deployment.definitions.get_repository_def().get_sensor_def("alerting")

    assert found.default_status is dg.DefaultSensorStatus.RUNNING
    assert found.minimum_interval_seconds == 60


def test_a_rejected_password_opens_one_alert_of_one_clinic(
    deployment: DagsterDeployment, sensor: Sensor
) -> None:
    deployment.vendors["alder"].credentials = neo_credentials(
        username="vet", password="another one"
    )
    for _ in range(3):
        deployment.sync("inbound_sync", ["alder", "birch"], days(0, 1))

    messages = [sensor.tick(), sensor.tick()]

    assert messages == [
        "1 alerts opened, 0 ended, 1 messages sent",
        "0 alerts opened, 0 ended, 0 messages sent",
    ]
    assert sensor.recorder.titles == ["credentials_rejected: alder"]


def test_a_tick_fails_while_alerts_cannot_be_delivered_and_they_follow_later(
    deployment: DagsterDeployment, sensor: Sensor
) -> None:
    grow_overdue(deployment)
    sensor.recorder.trouble = DeliveryFailed("Slack did not take the message (invalid_auth)")

    for _ in range(2):
        with pytest.raises(AlertsNotDelivered, match=r"the others wait: .*invalid_auth"):
            sensor.tick()
    sensor.recorder.trouble = None

    assert sensor.tick() == "0 alerts opened, 0 ended, 1 messages sent"
    assert sensor.recorder.titles == ["overdue, inbound: alder"]


def test_during_a_requested_pause_alerts_are_opened_and_nothing_is_sent(
    deployment: DagsterDeployment, sensor: Sensor
) -> None:
    grow_overdue(deployment)
    sensor.recorder.trouble = DeliveryFailed("Slack asks for 90 s of rest", retry_after=90)
    assert "90 s of rest" in sensor.tick()
    assert sensor.cursor is not None
    sensor.recorder.trouble = None

    deployment.run("UPDATE pims_credentials SET status = 'needs_human'")
    assert sensor.tick().startswith("3 alerts opened, 0 ended; nothing sent before ")
    assert sensor.recorder.taken == []

    sensor.cursor = (datetime.fromisoformat(sensor.cursor) - timedelta(minutes=2)).isoformat()
    assert sensor.tick() == "0 alerts opened, 0 ended, 2 messages sent"
    assert sensor.recorder.titles == ["overdue, inbound: alder", "human_needed: 3 clinics"]


def test_the_heartbeat_is_sent_after_each_successful_tick_and_no_other(
    deployment: DagsterDeployment, sensor: Sensor
) -> None:
    grow_overdue(deployment)
    with serving(watcher := Watcher()):
        sensor.heartbeat = Heartbeat(f"{watcher.address}ping/0123")
        sensor.recorder.trouble = DeliveryFailed("Slack did not take the message (invalid_auth)")
        with pytest.raises(AlertsNotDelivered):
            sensor.tick()
        assert watcher.asked == []

        sensor.recorder.trouble = None
        sensor.tick()
        assert watcher.asked == ["/ping/0123"]


@pytest.mark.parametrize(
    "fault", [HANG_UP, Canned(500, "down"), Canned(302, "", {"Location": "/"})]
)
def test_a_heartbeat_that_fails_stops_no_alert_and_shows_no_address(
    sensor: Sensor, fault: Canned, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    with serving(watcher := Watcher()):
        watcher.faults.append(fault)
        sensor.heartbeat = Heartbeat(f"{watcher.address}ping/0123")
        message = sensor.tick()
    assert message.endswith("the heartbeat address could not be called")
    assert "heartbeat_failed" in caplog.text
    assert "0123" not in message + caplog.text + repr(sensor.heartbeat)


@pytest.mark.parametrize("manner", [dripping_headers, endless_body], ids=lambda each: each.__name__)
def test_a_heartbeat_response_that_never_ends_does_not_block_the_tick(
    sensor: Sensor, manner: Manner
) -> None:
    with stalling_server(manner) as server:
        sensor.heartbeat = Heartbeat(f"{server.base_url}/ping/0123", total_seconds=1)
        message = sensor.tick()

    # Headers are a response; the sensor does not wait for the body.
    failed = message.endswith("the heartbeat address could not be called")
    assert failed is (manner is dripping_headers)


def test_an_implausibly_long_pause_is_ignored(
    deployment: DagsterDeployment, sensor: Sensor
) -> None:
    grow_overdue(deployment)
    sensor.cursor = (datetime.now(UTC) + timedelta(days=300)).isoformat()

    assert sensor.tick() == "1 alerts opened, 0 ended, 1 messages sent"


def test_every_check_that_an_alert_names_exists(deployment: DagsterDeployment) -> None:
    named = {
        (phase.names.asset, check) for each in CHECKS.values() for phase, check in each.items()
    }
    graph = deployment.definitions.resolve_asset_graph()
    known = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}

    assert named - known == set()


def test_alerts_are_delivered_by_the_notifier_of_the_sources(sources: Sources) -> None:
    recorder = Recorder()
    definitions = code_location(
        replace(sources, alerting=Alerting(notifier=recorder)), partition_start=START
    )

    with dg.build_init_resource_context() as context:
        resource = definitions.get_repository_def().get_top_level_resources()["alerts"]
        given = resource.resource_fn(context)  # type: ignore[call-arg]  # it may take none

    assert isinstance(given, Alerting)
    assert given.notifier is recorder
