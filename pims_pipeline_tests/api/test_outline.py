"""The OpenAPI document matches the committed ``outline.txt``.

``make examples`` sets ``PIMS_WRITE_OUTLINE``, which writes it again: its diff lists what changed
for clients.
"""

import os
from pathlib import Path

from fastapi import FastAPI

from pims_pipeline_tests.api.support.outline import outline

SOURCE = Path(__file__).with_name("outline.txt")


def test_the_document_is_the_committed_one(app: FastAPI) -> None:
    found = outline(app.openapi())

    if "PIMS_WRITE_OUTLINE" in os.environ:
        SOURCE.write_text(found, encoding="utf-8")
    committed = SOURCE.read_text(encoding="utf-8")
    assert found.splitlines() == committed.splitlines(), "run `make examples`"


def test_a_change_of_anything_that_a_client_depends_on_shows() -> None:
    field = {"type": "integer", "minimum": 1}
    schema = {"properties": {"days": field}, "required": ["days"], "additionalProperties": False}
    response = {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}},
        "headers": {"Location": {}},
    }
    document = {
        "paths": {
            "/x": {
                "post": {
                    "security": [{"apiKey": []}],
                    "parameters": [
                        {"in": "query", "name": "limit", "schema": {"enum": ["a", "b"]}}
                    ],
                    "responses": {"202": response},
                }
            }
        },
        "components": {"schemas": {"Body": schema}},
    }

    assert outline(document).splitlines() == [
        "POST /x [apiKey]",
        "  query limit?: 'a' | 'b'",
        "  202: application/json Body +Location",
        "Body (no other fields)",
        "  days: integer (minimum 1)",
    ]
