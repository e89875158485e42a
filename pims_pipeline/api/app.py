"""The application: routes, errors and middleware put together around one context.

Building it opens nothing and reads no settings. How it is served stands in ``server``.
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pims_pipeline.api.access.auth import HEADER
from pims_pipeline.api.access.hosts import OwnVisitors
from pims_pipeline.api.context import ApiContext
from pims_pipeline.api.errors import handle_errors
from pims_pipeline.api.middleware import (
    REQUEST_ID,
    BodyLimit,
    Faults,
    RequestMiddleware,
)
from pims_pipeline.api.routes import cases, health, metrics, syncs
from pims_pipeline.api.routes.docs_page import serve_docs
from pims_pipeline.api.services import ApiServices, build_services, provide_services

_TITLE = "PIMS pipeline"
_DESCRIPTION = """\
Keeps a clinic's cases in step with its practice management system (PIMS).

A `POST` starts a sync and answers at once; `GET /api/sync/{syncId}` tells how it goes. Every
call under `/api` carries an API key in the header `X-API-Key`; a key belongs to one clinic and
sees that clinic alone.

Every error has the same body: `success` (false), `error` (one sentence) and `timestamp`. Every
answer has a header `X-Request-Id` that also stands in the server's log.
"""
_CORS_SECONDS = 600


def create_app(context: ApiContext) -> FastAPI:
    """The API.

    Args:
        context: What its routes work with; stays open as long as the application is served.
    """
    app = FastAPI(
        title=_TITLE,
        description=_DESCRIPTION,
        version=version("pims-pipeline"),
        docs_url=None,
        redoc_url=None,
        # A slash too many is a wrong address, not one to be redirected with its key.
        redirect_slashes=False,
        # Clients of the former service often send JSON without saying so.
        strict_content_type=False,
        # Requests are logged and counted here, without what they hold.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    services = build_services(context)
    provide_services(app, services)
    handle_errors(app, context.clock)
    for routes in (syncs, cases, health, metrics):
        app.include_router(routes.router)
    serve_docs(app)
    _add_middleware(app, services)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def _add_middleware(app: FastAPI, services: ApiServices) -> None:
    """From the innermost layer to the outermost."""
    context = services.context
    app.add_middleware(BodyLimit, clock=context.clock)
    # Inside that of other origins, whose pages may read of a fault too.
    app.add_middleware(Faults, clock=context.clock)
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
            OwnVisitors,
            own=context.own_addresses,
            cors_origins=context.cors_origins,
            clock=context.clock,
        )
    app.add_middleware(RequestMiddleware, observe=services.scrapes.requests.observe)
    if context.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(context.trusted_proxies))


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made at the first call."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        _drop_the_framework_s_own_error(document)
        app.openapi_schema = document
    return app.openapi_schema


def _drop_the_framework_s_own_error(document: dict[str, Any]) -> None:
    """FastAPI documents 422 with a body of its own wherever something can be invalid."""
    own = {"HTTPValidationError", "ValidationError"}
    reference = {"$ref": "#/components/schemas/HTTPValidationError"}
    for path in document["paths"].values():
        for operation in path.values():
            told = operation["responses"].get("422", {}).get("content", {})
            if told.get("application/json", {}).get("schema") == reference:
                del operation["responses"]["422"]
    schemas = document.get("components", {}).get("schemas", {})
    for name in own & schemas.keys():
        del schemas[name]
