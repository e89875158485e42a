"""schemathesis sends the running API requests that its OpenAPI document allows, and others.

All of its checks are on, with the keys of two clinics. The rules that all responses follow are
checked here; findings to ignore belong in ``support.schema_hooks``.
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
from pims_pipeline_tests.api.support.tenants import (
    ACTIVE,
    MAPLE,
    OAK,
    ServedClinics,
    Tenant,
    serve_clinics,
)

PHASES = ("examples", "coverage", "fuzzing", "stateful")
CONFIGURATION = """
workers = 1
hooks = "{hooks}"
# Reports that this machine is slow, which is no finding.
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
"""Statuses that need other keys, too many requests, or a broken service."""


class Operations(BaseModel):
    """How many operations were found, tested and skipped."""

    total: int
    tested: int
    skipped: int


class Phase(BaseModel):
    """The result of a phase."""

    status: str
    skip_reason: str | None


class Report(BaseModel):
    """The report of schemathesis."""

    complete: bool
    operations: Operations
    phases: dict[str, Phase]
    warnings: dict[str, list[object]]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A run of schemathesis, and the responses of the API.

    Attributes:
        output: What it printed.
    """

    exit_code: int
    output: str
    report: Report
    served: ServedClinics
    recorded: list[RecordedResponse]


@pytest.fixture(scope="module")
def inspection(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspection]:
    """One run for all tests; takes half a minute."""
    directory = tmp_path_factory.mktemp("schemathesis")
    recorded: list[RecordedResponse] = []
    with serve_clinics(server_url, is_busy=True) as busy:
        busy.app.add_middleware(ResponseRecorder, recorded=recorded)
        with running_api(busy.app) as server:
            done = _schemathesis(server.base_url, busy, directory)
        report = Report.model_validate_json((directory / "report.json").read_text())
        yield Inspection(done.returncode, done.stdout + done.stderr, report, busy, recorded)


def _schemathesis(
    base_url: str, busy: ServedClinics, directory: Path
) -> subprocess.CompletedProcess[str]:
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


def _cursor(busy: ServedClinics, tenant: Tenant) -> str:
    headers = {"X-API-Key": tenant.keys[ACTIVE]}
    first = TestClient(busy.app).get("/api/sync", params={"limit": 3}, headers=headers)
    return str(first.json()["nextCursor"])


def test_schemathesis_finds_nothing(inspection: Inspection) -> None:
    assert inspection.exit_code == 0, inspection.output


def test_schemathesis_tests_every_operation_in_every_phase(inspection: Inspection) -> None:
    report, document = inspection.report, inspection.served.app.openapi()
    operations = [method for path in document["paths"].values() for method in path]
    assert report.complete
    assert report.operations == Operations(total=len(operations), tested=len(operations), skipped=0)
    assert report.phases == {phase: Phase(status="success", skip_reason=None) for phase in PHASES}
    assert [warnings for warnings in report.warnings.values() if warnings] == []


def test_every_documented_status_of_every_operation_is_seen(inspection: Inspection) -> None:
    """Otherwise a check would have had no response to check."""
    seen: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for response in inspection.recorded:
        seen[response.method.lower(), response.route].add(str(response.status))
    unseen = {
        (method, path): missing
        for path, operations in inspection.served.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if (missing := operation["responses"].keys() - UNSEEN - seen[method, path])
    }
    assert unseen == {("get", "/metrics"): {"401"}}


def test_every_response_follows_the_common_rules(inspection: Inspection) -> None:
    secrets = inspection.served.secrets
    wrong = [
        (fault, str(response))
        for response in inspection.recorded
        for fault in faults(response, secrets)
    ]
    assert wrong == []


def test_no_response_contains_anything_of_another_clinic(inspection: Inspection) -> None:
    tenants = inspection.served.tenants.values()
    foreign = {
        mine.keys[ACTIVE]: {
            trace for other in tenants if other is not mine for trace in other.traces
        }
        for mine in tenants
    }
    shown = [
        str(response)
        for response in inspection.recorded
        # It is for the operator, and names all clinics.
        if response.path != "/metrics"
        and any(
            trace in response.text for trace in foreign.get(response.sent.get("X-API-Key", ""), ())
        )
    ]
    assert shown == []
