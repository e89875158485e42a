"""The examples of the OpenAPI document are valid, and real responses of a simulated day.

``make examples`` sets ``PIMS_WRITE_EXAMPLES``, which writes them again.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, params
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter
from sqlalchemy import Engine

from pims_pipeline.api import examples
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.api.support import example_day


def test_the_examples_are_the_responses_of_a_simulated_day(
    engine: Engine, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sequential, so that the day is the same each time.
    monkeypatch.setattr("pims_pipeline.sync.phases.lookups.LOOKUP_WORKERS", 1)
    monkeypatch.setattr("pims_pipeline.sync.phases.audited.PROGRESS_INTERVAL_S", 0)

    found = example_day.examples(engine, vault, tmp_path)

    if "PIMS_WRITE_EXAMPLES" in os.environ:
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        examples.SOURCE.write_text(text, encoding="utf-8")
    assert json.loads(examples.SOURCE.read_text(encoding="utf-8")) == found, "run `make examples`"


def _documented(routes: list[APIRoute]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each example of a response: its place, model and value."""
    for route in routes:
        models = {status: field.field_info.annotation for status, field in _fields(route).items()}
        for status, response in route.responses.items():
            media = response.get("content", {}).get("application/json", {})
            values = {name: each["value"] for name, each in media.get("examples", {}).items()}
            values |= {"example": media["example"]} if "example" in media else {}
            for name, value in values.items():
                yield f"{route.path} {status} {name}", models[int(status)], value


def _fields(route: APIRoute) -> Mapping[int, Any]:
    fields = {int(status): field for status, field in route.response_fields.items()}
    if route.response_field is not None:
        fields[route.status_code or 200] = route.response_field
    return fields


def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def routes_of(app: FastAPI) -> list[APIRoute]:
    """Return the routes in the document."""
    found = [each.original_route for each in iter_route_contexts(app.routes)]
    return [each for each in found if isinstance(each, APIRoute) and each.include_in_schema]


def test_every_example_of_a_response_is_valid(app: FastAPI) -> None:
    documented = list(_documented(routes_of(app)))

    assert {f"/api/sync/{{syncId}} 200 {status}" for status in examples.STATUS} <= {
        place for place, *_ in documented
    }
    for place, model, value in documented:
        adapter = _adapter(model)
        read = adapter.validate_json(json.dumps(value))
        assert adapter.dump_python(read, mode="json") == value, place


def test_every_example_of_a_request_is_valid(app: FastAPI) -> None:
    bodies = [route.body_field for route in routes_of(app) if route.body_field is not None]

    assert len(bodies) == 5
    for body in bodies:
        assert isinstance(body.field_info, params.Body)
        shown = body.field_info.openapi_examples or {}
        assert shown, body.name
        for example in shown.values():
            _adapter(body.field_info.annotation).validate_json(json.dumps(example["value"]))


def test_every_route_that_sends_json_declares_its_model(app: FastAPI) -> None:
    undeclared = [route.path for route in routes_of(app) if route.response_model is None]

    assert undeclared == ["/metrics"]
