"""The API's OpenAPI document, and the page that shows it."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from pydantic import BaseModel, Field, JsonValue
from starlette.testclient import TestClient

from pims_pipeline.api.app import create_app
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.local_trust.page_policy import PAGE_POLICY
from pims_pipeline.store.database.engine import create_engine


class Media(BaseModel):
    """The examples of a body of one media type."""

    example: JsonValue = None
    examples: dict[str, dict[str, JsonValue]] = {}

    def values(self) -> list[JsonValue]:
        """Return all examples."""
        named = [each.get("value") for each in self.examples.values()]
        return named or [self.example]


class Body(BaseModel):
    """The body of a request or of a response, by media type."""

    content: dict[str, Media] = {}


class Operation(BaseModel):
    """One method of one path."""

    request: Body = Field(default=Body(), alias="requestBody")
    responses: dict[str, Body]


class Document(BaseModel):
    """The bodies of an OpenAPI document."""

    paths: dict[str, dict[str, Operation]]

    def bodies(self) -> Iterator[tuple[tuple[str, str, str], Media]]:
        """Yield each body of a request or response, with its place."""
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                named = {"request": operation.request, **operation.responses}
                for name, body in named.items():
                    for media in body.content.values():
                        yield (method, path, name), media


@pytest.fixture
def context(dagster: DagsterClient) -> ApiContext:
    """What the application is built with; the document needs no database."""
    return ApiContext(
        engine=create_engine("postgresql://reader@127.0.0.1:9/nothing"),
        dagster=dagster,
        dagster_ui_url="http://dagster.example",
        partition_start=date(2025, 1, 1),
        requests_per_minute=1,
    )


def test_the_document_declares_the_key_and_every_error(api: TestClient) -> None:
    document = api.get("/openapi.json").json()

    schemes = document["components"]["securitySchemes"]
    assert {name: (each["in"], each["name"]) for name, each in schemes.items()} == {
        "apiKey": ("header", "X-API-Key")
    }
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    for path, operations in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for operation in operations.values():
            assert operation["security"] == [{"apiKey": []}]
            errors = {int(s): r for s, r in operation["responses"].items() if int(s) >= 400}
            assert errors.keys() >= {400, 401, 403, 413, 429, 500, 503}
            for error in errors.values():
                content = error["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
                assert content["examples"]


def test_every_body_of_a_request_or_a_response_has_an_example(context: ApiContext) -> None:
    document = Document.model_validate(create_app(context).openapi())

    bodies = dict(document.bodies())

    assert {name for *_, name in bodies} >= {"request", "200", "202", "404"}
    bare = [place for place, media in bodies.items() if not all(media.values())]
    assert bare == []


def test_the_page_of_the_document_loads_nothing_from_elsewhere_and_has_no_inline_code(
    api: TestClient,
) -> None:
    page = api.get("/docs")

    assert page.headers["Content-Security-Policy"] == PAGE_POLICY
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert "></script>" in page.text
    assert 'href="openapi.json"' in page.text
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
    assert [each.partition("?")[0] for each in files] == [
        "docs/swagger-ui.css",
        "docs/swagger-ui-bundle.js",
        "docs/start.js",
    ]
    for file in files:
        sent = api.get(f"/{file}")
        assert sent.status_code == 200
        assert sent.headers["Cache-Control"] == "public, max-age=31536000, immutable"
