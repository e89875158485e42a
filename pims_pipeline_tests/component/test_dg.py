"""Dagster's command ``dg``, in this repository and in the example project."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.dagster_names import DEFINITIONS_MODULE, LOCATION
from pims_pipeline_tests.cli.invocation import KEY
from pims_pipeline_tests.cli.up.test_up import LOCATIONS, free_port
from pims_pipeline_tests.providers.stopping import eventually

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "dagster-project"
DG = Path(sys.executable).with_name("dg")


def environment(home: Path) -> dict[str, str]:
    """No settings and no instance; the programs of this environment come first.

    Telemetry is off: nothing is sent, and nothing is written to the developer's home.
    """
    config = home / "dg.toml"
    config.write_text("[cli.telemetry]\nenabled = false\n", encoding="utf-8")
    return {
        "HOME": str(home),
        "PATH": f"{DG.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLE / "src"),
        "PIMS_HOME": str(home / "pims"),
        "DG_CLI_CONFIG": str(config),
    }


def dg(directory: Path, home: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own environment's program
        [DG, *arguments],
        cwd=directory,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dg_checks_the_definitions_of_this_repository(tmp_path: Path) -> None:
    assert "All definitions loaded successfully" in dg(ROOT, tmp_path, "check", "defs")
    assert not (tmp_path / "pims").exists()


def test_dg_lists_the_example_project_with_our_assets_and_its_own(tmp_path: Path) -> None:
    listed = json.loads(dg(EXAMPLE, tmp_path, "list", "defs", "--json"))

    assets = {each["asset_key"] for each in listed["assets"]}
    assert {"appointments", "consultations", "reconciliation", "open_cases"} <= assets
    assert "declared_clinics" in {each["name"] for each in listed["sensors"]}


@contextmanager
def dg_dev(home: Path, port: int, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """``dg dev`` in the repository; what it leaves behind is killed."""
    with (home / "dg-dev.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own environment's program
            [DG, "dev", "--host=127.0.0.1", f"--port={port}"],
            cwd=ROOT,
            env={**environment(home), **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    started: list[psutil.Process] = []
    try:
        yield process
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            started = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        # Its code servers notice only after a while that it is gone.
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def loaded_at(port: int) -> str | None:
    """How loading the code location ended; None before the webserver responds."""
    with httpx2.Client(trust_env=False, timeout=60) as client, suppress(httpx2.ConnectError):
        url = f"http://127.0.0.1:{port}/graphql"
        data = client.post(url, json={"query": LOCATIONS}).json()["data"]
        [entry] = data["workspaceOrError"]["locationEntries"]
        return str(entry["locationOrLoadError"]["__typename"])
    return None


def test_dg_dev_serves_the_location_of_this_repository_until_ctrl_c(
    database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    with dg_dev(tmp_path, port, PIMS_DATABASE_URL=database_url, ENCRYPTION_KEY=KEY):
        eventually(lambda: loaded_at(port) is not None, 120)
        loaded = loaded_at(port)

    assert loaded == "RepositoryLocation"
    assert not (tmp_path / "pims" / "postgres").exists()


def project(directory: Path) -> Any:
    """What a folder's ``pyproject.toml`` says to ``dg``."""
    read = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))
    return read["tool"]["dg"]["project"]


def test_both_projects_have_the_location_that_the_api_and_the_commands_look_for() -> None:
    assert {project(each)["code_location_name"] for each in (ROOT, EXAMPLE)} == {LOCATION}
    assert project(ROOT)["code_location_target_module"] == DEFINITIONS_MODULE


def test_the_document_shows_the_component_as_the_example_has_it() -> None:
    document = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    example = EXAMPLE / "src" / "clinic_data" / "defs" / "pims" / "defs.yaml"
    assert document.partition("```yaml\n")[2].partition("```")[0] == example.read_text()
