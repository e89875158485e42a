"""The Postman collection: current, whole, and in Postman's format."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

ROOT = Path(__file__).parent.parent.parent
COLLECTION = ROOT / "docs" / "pims_pipeline.postman_collection.json"

_PAIR = {
    "type": "object",
    "required": ["key", "value"],
    "properties": {
        "key": {"type": "string", "minLength": 1},
        "value": {"type": "string"},
        "type": {"enum": ["string", "boolean", "any", "number"]},
        "description": {"type": "string"},
        "disabled": {"type": "boolean"},
    },
    "additionalProperties": False,
}
_PAIRS = {"type": "array", "items": _PAIR}
_AUTH = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["apikey", "bearer", "noauth"]},
        "apikey": _PAIRS,
        "bearer": _PAIRS,
        "noauth": _PAIRS,
    },
    "additionalProperties": False,
}
FORMAT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["info", "item"],
    "properties": {
        "info": {
            "type": "object",
            "required": ["name", "schema"],
            "properties": {
                "_postman_id": {"type": "string", "format": "uuid"},
                "name": {"type": "string", "minLength": 1},
                "description": {"type": "string"},
                "schema": {
                    "const": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
                },
            },
            "additionalProperties": False,
        },
        "auth": _AUTH,
        "variable": _PAIRS,
        "item": {"type": "array", "items": {"$ref": "#/definitions/folder"}},
    },
    "additionalProperties": False,
    "definitions": {
        "folder": {
            "type": "object",
            "required": ["name", "item"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "item": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"$ref": "#/definitions/item"},
                },
            },
            "additionalProperties": False,
        },
        "item": {
            "type": "object",
            "required": ["name", "request", "response"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "request": {"$ref": "#/definitions/request"},
                "response": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"$ref": "#/definitions/response"},
                },
            },
            "additionalProperties": False,
        },
        "request": {
            "type": "object",
            "required": ["method", "url"],
            "properties": {
                "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
                "description": {"type": "string"},
                "auth": _AUTH,
                "header": _PAIRS,
                "url": {
                    "type": "object",
                    "required": ["raw", "host", "path"],
                    "properties": {
                        "raw": {"type": "string", "pattern": "^\\{\\{baseUrl\\}\\}/"},
                        "host": {"const": ["{{baseUrl}}"]},
                        "path": {"type": "array", "items": {"type": "string", "minLength": 1}},
                        "query": _PAIRS,
                        "variable": _PAIRS,
                    },
                    "additionalProperties": False,
                },
                "body": {
                    "type": "object",
                    "required": ["mode", "raw"],
                    "properties": {
                        "mode": {"const": "raw"},
                        "raw": {"type": "string"},
                        "options": {"type": "object"},
                    },
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        "response": {
            "type": "object",
            "required": ["name", "originalRequest", "status", "code", "header", "body"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "originalRequest": {"$ref": "#/definitions/request"},
                "status": {"type": "string"},
                "code": {"type": "integer", "minimum": 100, "maximum": 599},
                "header": _PAIRS,
                "body": {"type": "string"},
                "_postman_previewlanguage": {"enum": ["json", "text"]},
            },
            "additionalProperties": False,
        },
    },
}
"""Postman's own schema of its format 2.1, as far as it is made use of here, and stricter."""


class Text(BaseModel):
    """A request's body."""

    raw: str


class Address(BaseModel):
    """Where a request goes."""

    raw: str


class Request(BaseModel):
    """What is sent."""

    method: str
    url: Address
    body: Text | None = None


class Saved(BaseModel):
    """An answer."""

    name: str
    code: int
    body: str


class Item(BaseModel):
    """A request with its saved answers."""

    request: Request
    saved: list[Saved] = Field(alias="response")


class Folder(BaseModel):
    """Some of them."""

    item: list[Item]


class Collection(BaseModel):
    """All of them."""

    item: list[Folder]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script that writes the collection."""
    spec = importlib.util.spec_from_file_location("collection", ROOT / "deploy" / "collection.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _requests() -> dict[tuple[str, str], Item]:
    """Each request of the collection with its saved answers, by method and address."""
    collection = Collection.model_validate_json(COLLECTION.read_text(encoding="utf-8"))
    return {
        (item.request.method, item.request.url.raw): item
        for folder in collection.item
        for item in folder.item
    }


def test_the_committed_collection_is_current(generator: ModuleType) -> None:
    current = generator.written(generator.api_document())
    assert COLLECTION.read_text(encoding="utf-8") == current, "run `make collection`"


def test_the_collection_is_in_postman_s_format() -> None:
    written = json.loads(COLLECTION.read_text(encoding="utf-8"))
    jsonschema_rs.validator_for(FORMAT).validate(written)


def test_every_operation_of_the_api_is_a_request_with_all_its_documented_answers(
    generator: ModuleType,
) -> None:
    document = generator.api_document()
    requests = _requests()
    for path, method, operation in document.operations():
        address = "{{baseUrl}}" + path.replace("{", ":").replace("}", "")
        saved = {answer.code for answer in requests.pop((method, address)).saved}
        assert saved == {int(status) for status in operation.responses}
    assert requests == {}


def test_every_body_and_every_answer_has_an_example_in_the_document() -> None:
    bare = [
        (*name, part)
        for name, item in _requests().items()
        for part, text in (
            ("body", item.request.body.raw if item.request.body else "none is sent"),
            *((answer.name, answer.body) for answer in item.saved),
        )
        if text in {"", "{}", "null"}
    ]
    assert bare == []
