"""The code location as Dagster's own tools load it."""

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.dagster_names import DEFINITIONS_ATTRIBUTE, DEFINITIONS_MODULE, LOCATION
from pims_pipeline.orchestration.jobs import JOBS
from pims_pipeline_tests.orchestration.deployment import ASSETS, DagsterDeployment

ROOT = Path(__file__).parents[2]
DAGSTER = Path(sys.executable).with_name("dagster")
NO_SERVER = "postgresql://pims:hush-hush@127.0.0.1:1/nothing"


def validate(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """``dagster definitions validate``, in a directory without settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(  # noqa: S603 - our own environment's program
        [DAGSTER, "definitions", "validate", "-w", ROOT / "workspace.yaml"],
        cwd=home,
        env={**kept, "PIMS_HOME": str(home / "pims"), "DAGSTER_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_dagster_validates_the_definitions_without_any_database(tmp_path: Path) -> None:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    result = validate(tmp_path, PIMS_DATABASE_URL=NO_SERVER, ENCRYPTION_KEY=key)
    assert result.returncode == 0, result.stderr
    assert "All code locations passed validation" in result.stdout + result.stderr
    assert not (tmp_path / "pims").exists()


def test_a_wrong_setting_is_named_and_its_value_is_not(tmp_path: Path) -> None:
    result = validate(tmp_path, PIMS_DATABASE_URL=NO_SERVER, ENCRYPTION_KEY="hush-hush")
    assert result.returncode != 0
    output = result.stdout + result.stderr
    assert "ENCRYPTION_KEY must be" in output
    assert "hush-hush" not in output


def test_the_workspace_and_runs_in_this_process_name_the_same_location() -> None:
    (entry,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"] == {
        "module_name": DEFINITIONS_MODULE,
        "attribute": DEFINITIONS_ATTRIBUTE,
        "location_name": LOCATION,
    }


def test_every_job_runs_in_its_own_process_and_is_never_retried(
    deployment: DagsterDeployment,
) -> None:
    repository = deployment.definitions.get_repository_def()
    jobs = [repository.get_job(name) for name in (*JOBS, "nightly_maintenance", "nightly_report")]
    assert {job.executor_def.name for job in jobs} == {"in_process"}
    assert {job.run_tags["dagster/max_retries"] for job in jobs} == {"0"}


def test_a_backfill_of_any_asset_is_a_single_run(deployment: DagsterDeployment) -> None:
    graph = deployment.definitions.resolve_asset_graph()
    assets = (*ASSETS, "daily_report")
    policies = {graph.get(dg.AssetKey(asset)).backfill_policy for asset in assets}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_schedules_and_sensors_are_on_by_default(
    deployment: DagsterDeployment,
) -> None:
    repository = deployment.definitions.get_repository_def()
    starting = {each.name: each.default_status.value for each in repository.schedule_defs}
    starting |= {each.name: each.default_status.value for each in repository.sensor_defs}
    assert {"freshness", "nightly_maintenance", "nightly_report"} <= set(starting)
    assert set(starting.values()) == {"RUNNING"}


def test_loading_the_location_imports_nothing_heavy() -> None:
    program = (
        "import sys, pims_pipeline.definitions; "
        "heavy = {'pandas', 'matplotlib', 'dagster_webserver', 'dagster_graphql'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=True
    )
    assert result.stdout.strip() == "[]"


def test_resources_show_no_configuration(deployment: DagsterDeployment) -> None:
    resources = deployment.definitions.get_repository_def().get_top_level_resources()
    shown = {
        name: resource.config_schema.as_field().default_value
        for name, resource in resources.items()
        if resource.config_schema.as_field().default_provided
    }
    assert {name: value for name, value in shown.items() if value} == {}
    assert {"store", "provider"} <= set(resources)
