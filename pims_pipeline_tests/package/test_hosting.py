"""What the hosting platform reads: the workflow, the templates of issues."""

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types

GITHUB = Path(__file__).parents[2] / ".github"
FORMS = sorted(
    path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)


def test_the_workflow_runs_what_contributors_run_and_may_only_read() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()

    assert workflow["permissions"] == {"contents": "read"}
    assert job["steps"][-1] == {"run": ".ci/run"}
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", each)] == []


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_each_form_asks_for_something_and_names_its_fields_once(form: Path) -> None:
    read = yaml.safe_load(form.read_text(encoding="utf-8"))
    fields = [each["id"] for each in read["body"] if each["type"] != "markdown"]

    assert {"name", "description", "body"} <= read.keys()
    assert fields
    assert len(set(fields)) == len(fields)
    assert any(each.get("validations", {}).get("required") for each in read["body"])
