"""schemathesis asks the running API what its OpenAPI document allows, and what it does not.

All of its checks are on, with the keys of two clinics; its findings are told in its own words.
What answers have in common, whatever was asked, is looked at here. What is deliberately no
finding stands in ``schema_hooks``.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from pims_pipeline.api.server import running_api
from pims_pipeline_tests.api.support.recorded import RecordedResponse, ResponseRecorder, faults
from pims_pipeline_tests.api.support.tenants import ACTIVE, MAPLE, OAK, Tenant, Town, town

PHASES = ("examples", "coverage", "fuzzing", "stateful")
CONFIGURATION = """
workers = 1
hooks = "{hooks}"
# Says that this machine is slow, which is no finding.
suppress-health-check = ["too_slow"]

[generation]
deterministic = true
database = "none"
max-examples = 30

[phases.stateful]
max-steps = 4

[cache]
enabled = false

[auth.wfc]
path = "{keys}"
user = "{maple}"
peers = ["{maple}", "{oak}"]

[dictionaries.syncs]
values = {syncs}

[dictionaries.cases]
values = {cases}

[dictionaries.cursors]
values = {cursors}

[parameters."path.syncId"]
dictionary = "syncs"
probability = 0.5

[parameters."path.id"]
dictionary = "cases"
probability = 0.5

[parameters."query.cursor"]
dictionary = "cursors"
probability = 0.5

[warnings]
fail-on = true
"""
UNSEEN = {"403", "409", "413", "429", "500", "503"}
"""Statuses of other keys, of too much at once, and of what is broken."""


class Operations(BaseModel):
    """How many operations were found, and what became of them."""

    total: int
    tested: int
    skipped: int


class Phase(BaseModel):
    """How a phase went."""

    status: str
    skip_reason: str | None


class Report(BaseModel):
    """What schemathesis tells of a run."""

    complete: bool
    operations: Operations
    phases: dict[str, Phase]
    warnings: dict[str, list[object]]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What schemathesis did, and what the API answered.

    Attributes:
        words: What it printed.
    """

    exit_code: int
    words: str
    report: Report
    town: Town
    recorded: list[RecordedResponse]


@pytest.fixture(scope="module")
def inspection(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspection]:
    """One run for all tests; it takes half a minute."""
    directory = tmp_path_factory.mktemp("schemathesis")
    recorded: list[RecordedResponse] = []
    with town(server_url, is_busy=True) as busy:
        busy.app.add_middleware(ResponseRecorder, recorded=recorded)
        with running_api(busy.app) as server:
            done = _schemathesis(server.base_url, busy, directory)
        report = Report.model_validate_json((directory / "report.json").read_text())
        yield Inspection(done.returncode, done.stdout + done.stderr, report, busy, recorded)


def _schemathesis(base_url: str, busy: Town, directory: Path) -> subprocess.CompletedProcess[str]:
    maple, oak = busy.tenants[MAPLE], busy.tenants[OAK]
    keys = directory / "keys.json"
    keys.write_text(json.dumps({"auth": [_identity(maple), _identity(oak)]}))
    configuration = directory / "schemathesis.toml"
    configuration.write_text(
        CONFIGURATION.format(
            hooks="pims_pipeline_tests.api.support.schema_hooks",
            keys=keys,
            maple=MAPLE,
            oak=OAK,
            syncs=json.dumps([*map(str, maple.syncs.values()), str(oak.syncs["done"])]),
            cases=json.dumps([str(maple.case_id), str(oak.case_id)]),
            cursors=json.dumps([_cursor(busy, maple), _cursor(busy, oak)]),
        )
    )
    return subprocess.run(  # noqa: S603 - our own environment's program
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("run", f"{base_url}/openapi.json", "--checks", "all", "--continue-on-failure"),
            *("--no-color", "--report-json-path", str(directory / "report.json")),
        ],
        cwd=directory,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=200,
    )


def _identity(tenant: Tenant) -> dict[str, object]:
    header = {"name": "X-API-Key", "value": tenant.keys[ACTIVE]}
    return {"name": tenant.clinic.slug, "fixedHeaders": [header]}


def _cursor(busy: Town, tenant: Tenant) -> str:
    headers = {"X-API-Key": tenant.keys[ACTIVE]}
    first = TestClient(busy.app).get("/api/sync", params={"limit": 3}, headers=headers)
    return str(first.json()["nextCursor"])


def test_schemathesis_finds_nothing(inspection: Inspection) -> None:
    assert inspection.exit_code == 0, inspection.words


def test_schemathesis_tests_every_operation_in_every_phase(inspection: Inspection) -> None:
    report, document = inspection.report, inspection.town.app.openapi()
    operations = [method for path in document["paths"].values() for method in path]
    assert report.complete
    assert report.operations == Operations(total=len(operations), tested=len(operations), skipped=0)
    assert report.phases == {phase: Phase(status="success", skip_reason=None) for phase in PHASES}
    assert [warnings for warnings in report.warnings.values() if warnings] == []


def test_every_operation_is_seen_to_answer_whatever_it_may(inspection: Inspection) -> None:
    """Else a check would have had nothing to look at."""
    seen: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for answer in inspection.recorded:
        seen[answer.method.lower(), answer.route].add(str(answer.status))
    unseen = {
        (method, path): missing
        for path, operations in inspection.town.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if (missing := operation["responses"].keys() - UNSEEN - seen[method, path])
    }
    assert unseen == {("get", "/metrics"): {"401"}}


def test_every_answer_keeps_to_what_all_answers_keep_to(inspection: Inspection) -> None:
    secrets = inspection.town.secrets
    wrong = [
        (fault, str(answer)) for answer in inspection.recorded for fault in faults(answer, secrets)
    ]
    assert wrong == []


def test_no_answer_shows_anything_of_another_clinic(inspection: Inspection) -> None:
    tenants = inspection.town.tenants.values()
    foreign = {
        mine.keys[ACTIVE]: {
            trace for other in tenants if other is not mine for trace in other.traces
        }
        for mine in tenants
    }
    shown = [
        str(answer)
        for answer in inspection.recorded
        # Its reader is the house, and it names clinics by design.
        if answer.path != "/metrics"
        and any(trace in answer.text for trace in foreign.get(answer.sent.get("X-API-Key", ""), ()))
    ]
    assert shown == []
