"""What the hosting platform reads: the workflow, the templates of issues."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline_tests.deploy.composition import compose_file

GITHUB = Path(__file__).parents[2] / ".github"
FORMS = sorted(
    path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)


def steps_of(workflow: str) -> list[dict[str, Any]]:
    """The steps of a workflow's one job."""
    read = yaml.safe_load((GITHUB / "workflows" / workflow).read_text(encoding="utf-8"))
    [job] = read["jobs"].values()
    steps: list[dict[str, Any]] = job["steps"]
    return steps


def test_the_workflow_runs_what_contributors_run() -> None:
    assert steps_of("ci.yml")[-1] == {"run": ".ci/run"}


@pytest.mark.parametrize("workflow", ["ci.yml", "image.yml"])
def test_a_workflow_may_only_read_and_uses_released_actions(workflow: str) -> None:
    read = yaml.safe_load((GITHUB / "workflows" / workflow).read_text(encoding="utf-8"))
    used = [step["uses"] for step in steps_of(workflow) if "uses" in step]

    assert read["permissions"] == {"contents": "read"}
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", each)] == []


def test_the_image_is_tried_as_the_composition_confines_it() -> None:
    [demo] = [step["run"] for step in steps_of("image.yml") if "pims demo" in step.get("run", "")]
    service = compose_file()["services"]["code-server"]

    assert service["read_only"] is True
    assert "--read-only" in demo
    assert [f"--cap-drop {each}" in demo for each in service["cap_drop"]] == [True]
    assert [f"--security-opt {each}" in demo for each in service["security_opt"]] == [True]
    assert [f"--tmpfs {each}" in demo for each in service["tmpfs"]] == [True]


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_each_form_asks_for_something_and_names_its_fields_once(form: Path) -> None:
    read = yaml.safe_load(form.read_text(encoding="utf-8"))
    fields = [each["id"] for each in read["body"] if each["type"] != "markdown"]

    assert {"name", "description", "body"} <= read.keys()
    assert fields
    assert len(set(fields)) == len(fields)
    assert any(each.get("validations", {}).get("required") for each in read["body"])
