"""A late clinic makes its asset's check warn, without a run."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.domain.alerts import OVERDUE_GRACE
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.checks.freshness import (
    FRESH_CHECKS,
    build_freshness_checks,
    freshness,
    metadata_of,
)
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.orchestration.sensors.freshness import (
    REPORT_EVERY,
    FreshnessReport,
    build_freshness_sensor,
)
from pims_pipeline_tests.orchestration.deployment import DagsterDeployment

# Noon of a Monday in UTC.
NOON = datetime(2076, 3, 9, 12, tzinfo=UTC)
HOURLY = '{"inbound": "0 * * * *", "cases": "off", "reconciliation": "off"}'
MINUTE = timedelta(minutes=1)
RULES = Rules(EnrichmentPolicy(), DeletionPolicy(), console=ConsoleLinks("https://c.example"))


@pytest.fixture
def hourly(deployment: DagsterDeployment) -> DagsterDeployment:
    """Clinics whose inbound sync is due every hour, and succeeded at noon."""
    deployment.run(
        "UPDATE clinic_schedule_configs SET sync_schedules = CAST(:s AS jsonb)", s=HOURLY
    )
    deployment.run("UPDATE clinics SET scheduled_since = '2076-03-01'")
    for slug in deployment.clinics:
        succeed(deployment, slug, NOON)
    return deployment


def succeed(
    deployment: DagsterDeployment, slug: str, at: datetime, status: str = "completed"
) -> None:
    deployment.run(
        "INSERT INTO case_sync_audits (clinic_id, sync_type, status, window_start, window_end, "
        "run_id, owner, created_at, updated_at) "
        "VALUES (:id, 'inbound', :status, '2076-03-09', '2076-03-09', 'r', 1, :at, :at)",
        id=deployment.clinics[slug].id,
        status=status,
        at=at,
    )


def late(deployment: DagsterDeployment, at: datetime) -> dict[Phase, list[str]]:
    return {each.phase: each.slugs for each in freshness(deployment.engine, at) if each.late}


def evaluate(
    deployment: DagsterDeployment, at: datetime, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=deployment.instance,
        resources={"store": deployment.engine, "rules": RULES},
        cursor=cursor,
    )
    found = build_freshness_sensor(lambda: at)(context)
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def test_a_clinic_is_late_after_its_second_tick_and_a_grace_period(
    hourly: DagsterDeployment,
) -> None:
    second = NOON + timedelta(hours=2)
    succeed(hourly, "alder", second - MINUTE)
    succeed(hourly, "birch", second - MINUTE, status="held")
    succeed(hourly, "cedar", second - MINUTE, status="failed")
    assert late(hourly, second + OVERDUE_GRACE - MINUTE) == {}
    assert late(hourly, second + OVERDUE_GRACE) == {Phase.INBOUND: ["cedar"]}


def test_an_inactive_clinic_is_never_late_and_an_unreadable_schedule_always(
    hourly: DagsterDeployment,
) -> None:
    hourly.run("UPDATE clinics SET is_active = false WHERE slug = 'alder'")
    hourly.run(
        'UPDATE clinic_schedule_configs SET sync_schedules = \'{"inbound": "soon", '
        '"cases": "off", "reconciliation": "off"}\' WHERE clinic_id = :id',
        id=hourly.clinics["birch"].id,
    )
    (inbound, *_) = freshness(hourly.engine, NOON)
    assert (inbound.clinics, inbound.slugs) == (2, ["birch"])
    metadata = metadata_of(inbound, NOON, RULES.console)
    shown = metadata["late_clinics"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert shown.records[0].data["next due"] == "its schedule cannot be read"
    assert metadata["console"].value == "- [birch](https://c.example/clinics/birch)"


def test_the_check_warns_and_lists_the_late_clinics(hourly: DagsterDeployment) -> None:
    at = NOON + timedelta(hours=3, minutes=5)
    succeed(hourly, "birch", at)
    succeed(hourly, "cedar", at)
    (check,) = (
        each
        for each in build_freshness_checks(lambda: at)
        if FRESH_CHECKS[Phase.INBOUND] in each.check_keys
    )
    result = check(store=hourly.engine, rules=RULES)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    shown = result.metadata["late_clinics"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {
            "clinic": "alder",
            "last success": "2076-03-09 12:00 UTC",
            "age": "3:05:00",
            "last completed or held": "2076-03-09 12:00 UTC",
            "next due": "2076-03-09 16:00 UTC",
        }
    ]


def test_the_sensor_evaluates_the_check_of_every_asset_without_a_run(
    hourly: DagsterDeployment,
) -> None:
    first = evaluate(hourly, NOON + 3 * timedelta(hours=1))
    assert isinstance(first, dg.SensorResult)
    assert not first.run_requests
    for event in first.asset_events:
        hourly.instance.report_runless_asset_event(event)
    keys = list(FRESH_CHECKS.values())
    summaries = hourly.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    passed = {
        key.name: record.event.dagster_event.asset_check_evaluation_data.passed
        for key, record in summaries.items()
        if record.event and record.event.dagster_event
    }
    assert passed == {
        "appointments_fresh": False,
        "consultations_fresh": True,
        "reconciliation_fresh": True,
    }


def test_the_sensor_reports_again_after_a_change_or_a_while(hourly: DagsterDeployment) -> None:
    at = NOON + MINUTE
    first = evaluate(hourly, at)
    assert isinstance(first, dg.SensorResult)
    assert isinstance(evaluate(hourly, at + MINUTE, first.cursor), dg.SkipReason)
    assert isinstance(evaluate(hourly, at + REPORT_EVERY, first.cursor), dg.SensorResult)
    # The clock was put back.
    assert isinstance(evaluate(hourly, at - MINUTE, first.cursor), dg.SensorResult)
    became_late = evaluate(
        hourly, at + timedelta(hours=3), FreshnessReport(at + timedelta(hours=3), {}).text()
    )
    assert isinstance(became_late, dg.SensorResult)


@pytest.mark.parametrize("cursor", [None, "", "nonsense", "[]", '{"at": 1}', '{"at": "x"}'])
def test_an_unreadable_cursor_counts_as_none(cursor: str | None) -> None:
    assert FreshnessReport.read(cursor) is None


def test_the_sync_jobs_leave_freshness_to_the_sensor(deployment: DagsterDeployment) -> None:
    for name in ("inbound_sync", "case_sync", "reconciliation_sync", "full_sync"):
        layer = deployment.definitions.resolve_job_def(name).asset_layer
        assert layer.executable_asset_keys
        assert not set(FRESH_CHECKS.values()) & set(layer.asset_graph.asset_check_keys)
