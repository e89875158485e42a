"""The API repeats nothing of a request that does not belong there, nor of what fails behind it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from pims_pipeline_tests.api.support.fake_dagster import SECRET, FakeDagster, Mood
from pims_pipeline_tests.canary.canaries import Canary, canary, secret_canary
from pims_pipeline_tests.canary.evidence import NOWHERE, LogLevel, leaks
from pims_pipeline_tests.canary.practice import Practice


def requests_with(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests with ``text`` where it does not belong: method, path, and the rest."""
    inside = quote(text, safe="")
    for path in ("", "api/sync/", "api/sync/full/", "api/cases/", "docs/", "metrics/"):
        yield "GET", f"/{path}{inside}", {}
    yield "GET", f"/api/cases/{inside}/provenance", {}
    for name in ("X-API-Key", "api_key", "limit", "cursor", text):
        yield "GET", "/api/sync", {"params": {name: text}}
    for header in ("Authorization", "Cookie", "Prefer", "Idempotency-Key", "User-Agent", "Referer"):
        for shape in ("{}", "Bearer {}", "X-API-Key={}"):
            sent = shape.format(text).encode()
            yield "GET", "/api/sync", {"headers": {header: sent}}
            yield "POST", "/api/sync/full", {"headers": {header: sent}}
    for header in ("Content-Type", "Accept", "Origin", "Host", "X-Forwarded-For"):
        yield "POST", "/api/sync/full", {"headers": {header: text.encode()}, "content": b"{}"}
    for field in ("startDate", "daysAhead", "parallelBatchSize"):
        for value in (text, [text], {text: text}):
            yield "POST", "/api/sync/full", {"json": {field: value}}
    for body in (text, f'"{text}"', f'["{text}"]', f'{{"{text}', f'{{"daysAhead": {text}}}'):
        yield "POST", "/api/sync/inbound", {"content": body.encode()}
    yield "POST", "/api/sync/cases", {"content": text.encode() * 5_000}


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_api_repeats_neither_its_requests_nor_the_errors_behind_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, level: LogLevel
) -> None:
    practice.open_clinic("alder")
    key = practice.make_api_key("alder")
    typed, unforeseen = canary("typed", "{} <&>'"), canary("unforeseen")
    from_dagster = Canary("from Dagster", SECRET, ("hunter2",))
    closed = canary("password of a closed database")
    nowhere = f"postgresql://pims:{closed.text}@127.0.0.1:9/pims"
    evidence, valid = practice.evidence, {"X-API-Key": key}

    # Search once for a run whose launch got no response.
    monkeypatch.setattr("pims_pipeline.api.dagster_client.SEARCH_SECONDS", 0)

    def fails(*_: object) -> None:
        raise KeyError(unforeseen.text) from ValueError(unforeseen.text)

    with evidence.logging("log", level), FakeDagster() as dagster, practice.api(dagster.url) as api:
        for method, path, rest in (*requests_with(key), *requests_with(typed.text)):
            api.client.request(method, path, **rest)
            headers = {**valid, **rest.get("headers", {})}
            api.client.request(method, path, **{**rest, "headers": headers})
        api.client.get("/api/sync", headers={**valid, "X-Request-Id": key})
        api.client.post("/api/sync/full", headers=valid, json={key: 1})
        for mood in Mood:
            dagster.mood = mood
            api.client.post("/api/sync/full", headers=valid)
            api.client.get("/ready")
            api.client.get("/metrics")
        monkeypatch.setattr("pims_pipeline.api.routes.cases.case_history", fails)
        broken = api.client.get(f"/api/cases/{uuid4()}/provenance", headers=valid)
        with practice.api(database_url=nowhere) as cut_off:
            gone = cut_off.client.get("/api/sync", headers=valid)
            cut_off.client.get("/ready")
            cut_off.client.get("/metrics")
    practice.add_stored_data()

    assert (broken.status_code, gone.status_code) == (500, 503)
    for event in ("request_failed", "database_unavailable", "launch_failed"):
        assert event in evidence.text_at("log, in JSON")
    secrets = (secret_canary("API key", key.partition("_")[2]), typed, unforeseen, closed)
    assert leaks(evidence, dict.fromkeys((*secrets, from_dagster, api.login), NOWHERE)) == {}
