"""``/``: what answers here, as JSON for programs and as a page for browsers.

It needs no key, and shows nothing about clinics. Whether the service works is in ``health``.
"""

from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from pims_pipeline.api.dependencies import Context
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.wire.health import ServiceCard

SERVICE: Final = "pims-pipeline"
VERSION: Final = version(SERVICE)
_DESCRIPTION = "Keeps a clinic's cases in step with its practice management system (PIMS)."
# Relative, so that they lead to the same server behind a proxy that adds to the path.
_LINKS = {"docs": "docs", "openapi": "openapi.json", "health": "health", "ready": "ready"}
_VARY = {"Vary": "Accept"}

_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PIMS pipeline</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>PIMS pipeline {VERSION}</h1>
<p>{_DESCRIPTION}</p>
<ul>
<li><a href="docs">Documentation of the REST API</a></li>
<li><a href="health">Health</a></li>
<li><a href="ready">Readiness</a></li>
</ul>
</body>
</html>
"""

_EXAMPLE = {
    "service": SERVICE,
    "version": VERSION,
    "description": _DESCRIPTION,
    "links": {name: f"/{path}" for name, path in _LINKS.items()},
    "timestamp": "2026-03-09T14:00:00.000Z",
}

router = APIRouter(tags=["operations"])


@router.get(
    "/",
    summary="Return what this service is",
    response_model=ServiceCard,
    responses={
        200: {
            "description": "The service card; for browsers, a page",
            "content": {
                "application/json": {"example": _EXAMPLE},
                "text/html": {"schema": {"type": "string"}, "example": _PAGE},
            },
        }
    },
)
async def service_card(request: Request, context: Context) -> Response:
    """Return the name and version of the service, and the paths of its documentation.

    A browser, which accepts HTML and no JSON, gets a page.
    """
    accepted = ",".join(request.headers.getlist("Accept"))
    if "text/html" in accepted and "application/json" not in accepted:
        return HTMLResponse(_PAGE, headers=_VARY)
    card = ServiceCard(
        service=SERVICE,
        version=VERSION,
        description=_DESCRIPTION,
        links={name: f"/{path}" for name, path in _LINKS.items()},
        timestamp=context.clock(),
    )
    return ModelResponse(card, headers=_VARY)
