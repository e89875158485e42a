"""Clients of the v4.0 service: their requests, with their keys, answered as that service did.

``v4_requests.json`` has the requests and what is stated of the responses: each field that is named
there must be in the response, with that value or of that type; a response may have more. The keys
are those of a v4.0 installation, imported as an operator does.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.domain.api_keys import hash_of
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.key_import import ChosenClinics, import_keys
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.adoption.installations import create_installation
from pims_pipeline_tests.api.support.busy_dagster import PromptDagster
from pims_pipeline_tests.api.support.clock import Clock

NOW = datetime(2026, 3, 9, 14, tzinfo=UTC)
RECORDED = json.loads(Path(__file__).with_name("v4_requests.json").read_text(encoding="utf-8"))

KEYS = {
    name: f"live_key_{name}_0123456789"
    for name in (
        *("wait", "no-wait", "syncs", "present", "inbound-only"),
        *("revoked", "expired", "unknown", "clear"),
    )
}
PERMISSIONS = {
    "syncs": ["sync:*"],
    "present": ["sync:reconcile"],
    "inbound-only": ["sync:inbound"],
}
IN_V4 = ["sync:inbound", "sync:cases", "sync:reconciliation"]
COUNTS = {
    Phase.INBOUND: Counts(found=3, created=2, unchanged=1),
    Phase.CASES: Counts(found=3, enriched=2, skipped=1),
    Phase.RECONCILIATION: Counts(found=3, unchanged=3),
}

TYPES = {
    "<uuid>": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "<timestamp>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "<text>": re.compile(r".+"),
}


def differences(stated: Any, found: Any, where: str = "body") -> Iterator[str]:
    """Where a response is not as it is stated."""
    if isinstance(stated, dict):
        if not isinstance(found, dict):
            yield f"{where} is {found!r}"
            return
        for name, value in stated.items():
            yield from (
                differences(value, found[name], f"{where}.{name}")
                if name in found
                else [f"{where}.{name} is missing"]
            )
    elif not matches(stated, found):
        yield f"{where} is {found!r}, not {stated!r}"


def matches(stated: Any, found: Any) -> bool:
    """Whether a value is the stated one, or of the stated type."""
    if stated in ("<integer>", "<list>"):
        return type(found) is {"<integer>": int, "<list>": list}[stated]
    if isinstance(stated, str) and stated in TYPES:
        return isinstance(found, str) and TYPES[stated].fullmatch(found) is not None
    return bool(stated == found)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def imported(engine: Engine, database_url: str, clinic: Clinic) -> None:
    """The keys of both layouts, for one clinic; all but one make requests wait."""
    create_installation(database_url, "deployed", "deployed")
    create_installation(database_url, "documented", "documented")
    with transaction(engine) as connection:
        for name in KEYS.keys() - {"unknown", "clear"}:
            connection.execute(
                text(
                    "INSERT INTO deployed.clinic_api_keys "
                    "(name, key_hash, key_prefix, permissions, is_active, expires_at) "
                    "VALUES (:name, :hash, :prefix, :permissions, :active, :expires)"
                ),
                {
                    "name": name,
                    "hash": hash_of(KEYS[name]),
                    "prefix": KEYS[name][:8],
                    "permissions": PERMISSIONS.get(name, IN_V4),
                    "active": name != "revoked",
                    "expires": NOW.replace(day=8) if name == "expired" else None,
                },
            )
        connection.execute(
            text("INSERT INTO documented.clinics (id, name) VALUES (:id, 'Maple')"),
            {"id": clinic.id},
        )
        connection.execute(
            text("INSERT INTO documented.clinic_api_keys (clinic_id, api_key) VALUES (:id, :key)"),
            {"id": clinic.id, "key": KEYS["clear"]},
        )
    for schema in ("deployed", "documented"):
        chosen = ChosenClinics(for_all=clinic.slug)
        import_keys(engine, schema, chosen, wait_seconds=60, now=datetime.now(UTC))
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE clinic_api_keys SET wait_seconds = NULL WHERE name = 'no-wait'")
        )


@pytest.fixture
def api(engine: Engine, context: ApiContext, imported: None) -> Iterator[TestClient]:
    """The API with a Dagster whose runs complete at once."""
    assert imported is None
    with (
        PromptDagster(engine, context.clock, COUNTS) as dagster,
        closing(DagsterClient(dagster.url)) as client,
    ):
        app = create_app(replace(context, dagster=client))
        yield TestClient(app, raise_server_exceptions=False)


def test_every_recorded_request_is_answered_as_the_v4_service_did(api: TestClient) -> None:
    problems: dict[str, list[str]] = {}
    for each in RECORDED:
        request, stated = each["request"], each["response"]
        headers = dict(request.get("headers", {}))
        if request.get("key") is not None:
            headers["X-API-Key"] = KEYS[request["key"]]
        response = api.request(
            request["method"], request["path"], json=request.get("body"), headers=headers
        )
        found = [f"status {response.status_code}: {response.text}"]
        if response.status_code == stated["status"]:
            found = list(differences(stated["body"], response.json()))
        problems[each["name"]] = found

    assert {name: found for name, found in problems.items() if found} == {}


def test_a_difference_in_any_field_is_noticed() -> None:
    stated = {"id": "<uuid>", "at": "<timestamp>", "stats": {"found": 3}, "ms": "<integer>"}
    wrong = {"id": "7", "at": "now", "stats": {"found": 4}, "ms": "5"}

    assert len(list(differences(stated, wrong))) == 4
    assert list(differences(stated, {**wrong, "stats": []}))[2] == "body.stats is []"
    assert list(differences({"id": 1}, {})) == ["body.id is missing"]
