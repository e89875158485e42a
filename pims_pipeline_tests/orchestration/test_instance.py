"""The Dagster instance on PostgreSQL, as every process opens it."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types
from dagster import DagsterInstance

from pims_pipeline.orchestration import instance
from pims_pipeline.orchestration.instance import dagster_home
from pims_pipeline.providers.port import TransientError
from pims_pipeline_tests.orchestration.deployment import (
    ASSETS,
    SLUGS,
    DagsterDeployment,
    days,
    keys,
)

CONFIG = Path(instance.__file__).with_name("dagster.yaml")


def test_a_box_that_partly_fails_is_recorded_in_postgres(
    deployment: DagsterDeployment, postgres_instance: DagsterInstance, tmp_path: Path
) -> None:
    deployment = replace(deployment, instance=postgres_instance)
    window = days(-1, 1)
    for slug in SLUGS:
        deployment.book(slug, window)
    deployment.vendors["birch"].fail_next(TransientError("503"), "listing")
    outcome = deployment.sync("full_sync", SLUGS, window)
    assert not outcome.success
    for asset in ASSETS:
        assert deployment.materialized(asset) == keys(["alder", "cedar"], window)
        assert deployment.failed(asset) == keys(["birch"], window)
    assert (tmp_path / "dagster" / "storage").is_dir()


def test_an_instance_passed_on_a_command_line_has_no_address(
    postgres_instance: DagsterInstance, database_url: str
) -> None:
    shown = str(postgres_instance.get_ref().to_dict())
    assert "DAGSTER_POSTGRES_URL" in shown
    assert database_url.rpartition("/")[2].partition("?")[0] not in shown


def test_a_run_prints_to_standard_error_at_its_log_level(
    deployment: DagsterDeployment,
    postgres_instance: DagsterInstance,
    capfd: pytest.CaptureFixture[str],
) -> None:
    deployment = replace(deployment, instance=postgres_instance)
    silence = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    quiet = deployment.sync("inbound_sync", ["alder"], days(0, 0), run_config=silence)
    assert quiet.run_id not in capfd.readouterr().err
    usual = deployment.sync("inbound_sync", ["alder"], days(0, 0))
    printed = capfd.readouterr()
    assert usual.run_id in printed.err
    assert "DEBUG" not in printed.err
    assert printed.out == ""


def test_the_configuration_is_written_only_when_it_differs(tmp_path: Path) -> None:
    config = dagster_home(tmp_path) / "dagster.yaml"
    before = config.stat().st_mtime_ns
    assert dagster_home(tmp_path) == config.parent
    assert config.stat().st_mtime_ns == before
    config.write_text("telemetry: {enabled: true}\n")
    dagster_home(tmp_path)
    assert config.read_text() == CONFIG.read_text()


def test_telemetry_and_retries_of_runs_are_off() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert config["telemetry"] == {"enabled": False}
    assert config["run_retries"] == {"enabled": False}


def test_a_slow_sensor_delays_no_other(postgres_instance: DagsterInstance) -> None:
    """Delivering webhooks waits for receivers; other sensors launch syncs and deliver alerts."""
    sensors = postgres_instance.get_sensor_settings()
    assert sensors["use_threads"]
    assert sensors["num_workers"] > 1


def test_the_repository_s_own_instance_differs_only_in_what_needs_the_environment() -> None:
    theirs = yaml.safe_load(CONFIG.read_text())
    root = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())
    assert {**root, "storage": theirs["storage"], "compute_logs": theirs["compute_logs"]} == theirs


def test_only_daemons_with_work_to_do_run(postgres_instance: DagsterInstance) -> None:
    assert set(postgres_instance.get_required_daemon_types()) == {
        "SENSOR",
        "SCHEDULER",
        "QUEUED_RUN_COORDINATOR",
        "MONITORING",
        "BACKFILL",
    }
