"""Writes the Postman collection of the API anew, from its OpenAPI document.

Part of ``make collection``. The format is Postman's 2.1, which Bruno, Insomnia and others read
too. Examples are the document's own; nothing is made up here.
"""  # noqa: INP001 - a script, not part of a package

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, Field, JsonValue

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster import DagsterClient
from pims_pipeline.store.database import create_engine

TARGET = Path(__file__).parent.parent / "docs" / "pims_pipeline.postman_collection.json"
FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"

Json = dict[str, JsonValue]


class Named(BaseModel):
    """An example that has a name."""

    value: JsonValue


class Schema(BaseModel):
    """What a value may be, as far as examples go."""

    default: JsonValue = None
    examples: list[JsonValue] = []


class Media(BaseModel):
    """A body of one type, by its examples."""

    example: JsonValue = None
    examples: dict[str, Named] = {}

    def named(self) -> Iterator[tuple[str, JsonValue]]:
        """The examples, each with its name; a single one has none."""
        if self.example is not None:
            yield "", self.example
        yield from ((name, each.value) for name, each in self.examples.items())


class Parameter(BaseModel):
    """A value in the address or in a header."""

    name: str
    place: str = Field(alias="in")
    required: bool = False
    description: str = ""
    schema_: Schema = Field(alias="schema")

    @property
    def shown(self) -> str:
        """An example of it, or its default."""
        given = [*self.schema_.examples, self.schema_.default]
        return next((str(each) for each in given if each is not None), "")


class Body(BaseModel):
    """A request's, by type."""

    content: dict[str, Media]


class Answer(BaseModel):
    """A response of one status, by type."""

    content: dict[str, Media] = {}


class Operation(BaseModel):
    """One method of one path."""

    tags: list[str]
    summary: str
    description: str = ""
    security: list[dict[str, list[str]]] = []
    parameters: list[Parameter] = []
    body: Body | None = Field(default=None, alias="requestBody")
    responses: dict[str, Answer]


class Info(BaseModel):
    """The document's heading."""

    title: str
    description: str


class Document(BaseModel):
    """An OpenAPI document, as far as a collection needs it."""

    info: Info
    paths: dict[str, dict[str, Operation]]

    def operations(self) -> Iterator[tuple[str, str, Operation]]:
        """Path, method and operation, in the document's order."""
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                yield path, method.upper(), operation


def api_document() -> Document:
    """The API's own. Opens neither a database nor a connection to Dagster."""
    with closing(DagsterClient("http://127.0.0.1:9")) as dagster:
        context = ApiContext(
            engine=create_engine(_NOWHERE),
            dagster=dagster,
            dagster_ui_url="http://127.0.0.1:3000",
            partition_start=date(2025, 1, 1),
            requests_per_minute=1,
        )
        return Document.model_validate(create_app(context).openapi())


def collection(document: Document) -> Json:
    """The collection: a folder for each tag, a request for each operation."""
    tags = dict.fromkeys(tag for *_, operation in document.operations() for tag in operation.tags)
    return {
        "info": {
            "_postman_id": str(uuid5(NAMESPACE_URL, FORMAT + document.info.title)),
            "name": document.info.title,
            "description": document.info.description,
            "schema": FORMAT,
        },
        "auth": _auth("apikey", {"key": "X-API-Key", "value": "{{apiKey}}", "in": "header"}),
        "variable": [
            _variable("baseUrl", "http://127.0.0.1:8000", "Where `pims serve` answers."),
            _variable("apiKey", "", "What `pims keys create` printed."),
            _variable("metricsToken", "", "The value of PIMS_METRICS_TOKEN, if it is set."),
        ],
        "item": [
            {
                "name": tag,
                "item": [
                    _item(path, method, operation)
                    for path, method, operation in document.operations()
                    if tag in operation.tags
                ],
            }
            for tag in tags
        ],
    }


def _variable(key: str, value: str, description: str) -> Json:
    return {"key": key, "value": value, "type": "string", "description": description}


def _auth(kind: str, attributes: Mapping[str, str] = MappingProxyType({})) -> Json:
    listed: list[JsonValue] = [
        {"key": key, "value": value, "type": "string"} for key, value in attributes.items()
    ]
    return {"type": kind, kind: listed}


def _item(path: str, method: str, operation: Operation) -> Json:
    request = _request(path, method, operation)
    return {
        "name": operation.summary,
        "request": {**request, "description": operation.description},
        "response": [*_responses(operation, request)],
    }


def _request(path: str, method: str, operation: Operation) -> Json:
    request: Json = {
        "method": method,
        "header": [*_headers(operation)],
        "url": _url(path, operation),
    }
    if not operation.security:
        request["auth"] = _auth_of_probes(path)
    for kind, media in (operation.body.content if operation.body else {}).items():
        example = next((value for _, value in media.named()), {})
        request["header"] = [{"key": "Content-Type", "value": kind}, *_headers(operation)]
        request["body"] = {
            "mode": "raw",
            "raw": _text(example),
            "options": {"raw": {"language": "json"}},
        }
    return request


def _auth_of_probes(path: str) -> Json:
    # The metrics alone have a token, which the document cannot say: it need not be set.
    return _auth("bearer", {"token": "{{metricsToken}}"}) if path == "/metrics" else _auth("noauth")


def _headers(operation: Operation) -> Iterable[Json]:
    """Those that a client may send; switched off, since none must be."""
    for each in operation.parameters:
        if each.place == "header":
            yield {
                "key": each.name,
                "value": each.shown,
                "description": each.description,
                "disabled": not each.required,
            }


def _url(path: str, operation: Operation) -> Json:
    # Postman writes the parts that vary as ":name".
    parts = [f":{part[1:-1]}" if part.startswith("{") else part for part in path[1:].split("/")]
    url: Json = {
        "raw": "/".join(("{{baseUrl}}", *parts)),
        "host": ["{{baseUrl}}"],
        "path": [*parts],
    }
    query: list[JsonValue] = [
        {**_described(each), "disabled": not each.required}
        for each in operation.parameters
        if each.place == "query"
    ]
    variable: list[JsonValue] = [
        _described(each) for each in operation.parameters if each.place == "path"
    ]
    if query:
        url["query"] = query
    if variable:
        url["variable"] = variable
    return url


def _described(parameter: Parameter) -> Json:
    return {
        "key": parameter.name,
        "value": parameter.shown,
        "description": parameter.description,
    }


def _responses(operation: Operation, request: Json) -> Iterator[Json]:
    for status, answer in sorted(operation.responses.items()):
        phrase = HTTPStatus(int(status)).phrase
        for kind, media in answer.content.items():
            for name, example in media.named():
                yield {
                    "name": f"{status} {phrase}" + (f": {name}" if name else ""),
                    "originalRequest": {"method": request["method"], "url": request["url"]},
                    "status": phrase,
                    "code": int(status),
                    "header": [{"key": "Content-Type", "value": kind}],
                    "body": example if isinstance(example, str) else _text(example),
                    "_postman_previewlanguage": "json" if kind.endswith("json") else "text",
                }


def _text(value: JsonValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def written(document: Document) -> str:
    """The file's text."""
    return json.dumps(collection(document), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    TARGET.write_text(written(api_document()), encoding="utf-8")


if __name__ == "__main__":
    main()
