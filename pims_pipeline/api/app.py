"""The application: routes, errors and middleware put together around one context.

Building it opens nothing and reads no settings. Serving it belongs in ``server``.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pims_pipeline.api.access.auth import HEADER
from pims_pipeline.api.access.hosts import HostGuard
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.errors import handle_errors
from pims_pipeline.api.middleware import (
    REQUEST_ID,
    BodyLimit,
    ErrorBoundary,
    RequestMiddleware,
)
from pims_pipeline.api.routes import cases, changes, health, metrics, service_card, syncs
from pims_pipeline.api.routes.docs_page import serve_docs
from pims_pipeline.api.services import ApiServices, build_services, provide_services

_TITLE = "PIMS pipeline"
_DESCRIPTION = """\
Keeps a clinic's cases in step with its practice management system (PIMS).

A `POST` starts a sync and returns at once; `GET /api/sync/{syncId}` returns its status. Every
request under `/api` needs an API key in the header `X-API-Key`. A key belongs to one clinic and
gives access to that clinic only.

Every error has the same body: `success` (false), `error` (one sentence) and `timestamp`. Every
response has a header `X-Request-Id`; the server's log has the same id.
"""
_CORS_SECONDS = 600


def create_app(context: ApiContext) -> FastAPI:
    """Build the API.

    Args:
        context: What its routes use; must stay open as long as the application is served.
    """
    app = FastAPI(
        title=_TITLE,
        description=_DESCRIPTION,
        version=service_card.VERSION,
        docs_url=None,
        redoc_url=None,
        # An extra slash is a wrong path; a redirect would send the key again.
        redirect_slashes=False,
        # Clients of the former service often send JSON without a Content-Type.
        strict_content_type=False,
        # The middleware logs and counts requests, without their contents.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    services = build_services(context)
    provide_services(app, services)
    handle_errors(app, context.clock)
    for routes in (syncs, cases, changes, service_card, health, metrics):
        app.include_router(routes.router)
    serve_docs(app)
    _add_middleware(app, services)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # as FastAPI documents it
    return app


def _add_middleware(app: FastAPI, services: ApiServices) -> None:
    """From the innermost layer to the outermost."""
    context = services.context
    app.add_middleware(BodyLimit, clock=context.clock)
    # Inside the CORS layer, so that pages of other origins can read the error.
    app.add_middleware(ErrorBoundary, clock=context.clock)
    if context.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=(HEADER, REQUEST_ID, "Content-Type", "Idempotency-Key", "Prefer"),
            expose_headers=(
                REQUEST_ID,
                "Idempotent-Replayed",
                "Location",
                "Preference-Applied",
                "Retry-After",
            ),
            max_age=_CORS_SECONDS,
        )
    if context.own_addresses is not None:
        app.add_middleware(
            HostGuard,
            own=context.own_addresses,
            cors_origins=context.cors_origins,
            clock=context.clock,
        )
    app.add_middleware(RequestMiddleware, observe=services.scrapes.requests.observe)
    if context.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(context.trusted_proxies))


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; built at the first call."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        _drop_framework_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _drop_framework_errors(document: dict[str, Any]) -> None:
    """Remove FastAPI's own 422 bodies: validation errors are 400 here."""
    own = {"HTTPValidationError", "ValidationError"}
    reference = {"$ref": "#/components/schemas/HTTPValidationError"}
    for path in document["paths"].values():
        for operation in path.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if content.get("application/json", {}).get("schema") == reference:
                del operation["responses"]["422"]
    schemas = document.get("components", {}).get("schemas", {})
    for name in own & schemas.keys():
        del schemas[name]
