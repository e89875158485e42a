"""``/docs``: the OpenAPI document as a page, by Swagger UI.

The browser loads Swagger UI, nearly two megabytes, from a CDN, in one exact version. Its hash
is pinned here, because clients enter their keys on this page. Without internet access the page
links to the document itself.
"""

import base64
import hashlib
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_CDN: Final = "https://cdn.jsdelivr.net"
_SWAGGER_UI: Final = f"{_CDN}/npm/swagger-ui-dist@5.35.0"
_SCRIPT_HASH: Final = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_STYLE_HASH: Final = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"

_START: Final = """
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

_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PIMS pipeline: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{_SWAGGER_UI}/swagger-ui.css" integrity="{_STYLE_HASH}"
 crossorigin="anonymous">
</head>
<body>
<div id="page">
<p>This page needs Swagger UI from {_CDN}, which did not load.
The OpenAPI document is <a href="openapi.json">openapi.json</a>.</p>
</div>
<script src="{_SWAGGER_UI}/swagger-ui-bundle.js" integrity="{_SCRIPT_HASH}"
 crossorigin="anonymous"></script>
<script>{_START}</script>
</body>
</html>
"""


def _policy() -> str:
    start = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_CDN} 'sha256-{start}'",
            # Swagger UI styles its elements one by one.
            f"style-src {_CDN} 'unsafe-inline'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def serve_docs(app: FastAPI) -> None:
    """Serve the page at ``/docs``, beside the document at ``/openapi.json``."""
    headers = {"Content-Security-Policy": _policy()}

    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE, headers=headers)

    app.add_api_route("/docs", page, include_in_schema=False, response_class=HTMLResponse)
