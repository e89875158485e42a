"""``/docs``: the OpenAPI document as a page, by Swagger UI; works without the internet.

Swagger UI's two files come from the package ``fastapi-swagger``, whose hash the lock holds; none of
that package's code runs. Clients enter their keys on this page, so it has the policy of the
console's pages: no inline code, and nothing from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.requests import Request
from starlette.responses import Response

from pims_pipeline.local_trust.page_policy import PAGE_POLICY

_PACKAGE: Final = "fastapi-swagger"
_FOLDER: Final = "fastapi_swagger/resources"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "swagger-ui-bundle.js": "text/javascript",
        "swagger-ui.css": "text/css",
        "start.js": "text/javascript",
    }
)
_START: Final = b"""\
if (window.SwaggerUIBundle) {
  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#page",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
  });
}
"""
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PIMS pipeline: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{swagger-ui.css}">
</head>
<body>
<div id="page">
<p>The OpenAPI document is <a href="openapi.json">openapi.json</a>.</p>
</div>
<script src="{swagger-ui-bundle.js}"></script>
<script src="{start.js}"></script>
</body>
</html>
"""
_POLICY: Final = {"Content-Security-Policy": PAGE_POLICY}
# The address of a file changes with its content.
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@cache
def _content(name: str) -> bytes:
    if name == "start.js":
        return _START
    path = distribution(_PACKAGE).locate_file(f"{_FOLDER}/{name}")
    with open(str(path), "rb") as file:  # noqa: PTH123 - the library's path has no type
        return file.read()


@cache
def _page() -> str:
    page = _PAGE
    for name in _TYPES:
        version = hashlib.sha256(_content(name)).hexdigest()[:12]
        page = page.replace(f"{{{name}}}", f"docs/{name}?v={version}")
    return page


def _show_page() -> Response:
    return HTMLResponse(_page(), headers=_POLICY)


def _send_file(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return Response(_content(name), media_type=_TYPES[name], headers=_FOREVER)


def serve_docs(app: FastAPI) -> None:
    """Serve the page at ``/docs`` and its files below, beside the document at ``/openapi.json``."""
    app.add_api_route("/docs", _show_page, include_in_schema=False, response_class=HTMLResponse)
    for name in _TYPES:
        app.add_api_route(f"/docs/{name}", _send_file, include_in_schema=False)
