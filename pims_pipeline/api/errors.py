"""Errors as the API answers them: one envelope for all, and their place in the OpenAPI document.

``{"success": false, "error": "…", "timestamp": "…"}``, whatever went wrong and wherever. Nothing
in it quotes what a client sent, but for names of fields, nor what a fault said.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.observability.redaction import redact_text
from pims_pipeline.store.database.errors import DatabaseRefused, DatabaseUnavailable
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.wire.problems import ErrorBody

MISSING_KEY: Final = "Missing X-API-Key header"
INVALID_KEY: Final = "Invalid API key"
DISABLED_KEY: Final = "API key is disabled"
EXPIRED_KEY: Final = "API key has expired"
INACTIVE_CLINIC: Final = "Clinic is deactivated"
TOO_MANY_REQUESTS: Final = "Too many requests"
TOO_MANY_FAILURES: Final = "Too many failed attempts"
BODY_TOO_LARGE: Final = "Request body is larger than 64 KiB"
NOT_JSON: Final = "The body is not valid JSON"
INTERNAL_ERROR: Final = "Internal server error"
NO_SUCH_SYNC: Final = "Sync not found"
NO_SUCH_CASE: Final = "Case not found"
KEY_REUSED: Final = "Idempotency-Key was used with another request"
BEING_STARTED: Final = "A request with this Idempotency-Key is still being started"
NOT_STARTED: Final = "Dagster cannot start the sync now; try again later"
NOT_KNOWN: Final = (
    "It is not known whether the sync was started; send it again with the same Idempotency-Key"
)
DATABASE_UNAVAILABLE: Final = "The database is not available; try again later"

DATABASE_RETRY_SECONDS = 5
_SHOWN_PROBLEMS = 10
_LONGEST_NAME = 64

_log = get_logger(__name__)


def permission_denied(permission: str) -> str:
    """What a key without ``permission`` is told."""
    return f"Permission denied: {permission}"


class ApiError(HTTPException):
    """Ends a request with an error that its client is told.

    Args:
        status: The HTTP status, 400 or more.
        error: One sentence without personal data and secrets.
        headers: Further headers of the answer, such as ``Retry-After``.
    """

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status_code=status, detail=error, headers=dict(headers or {}))


def error_response(
    status: int, error: str, *, now: datetime, headers: Mapping[str, str] | None = None
) -> ModelResponse:
    """The answer that tells of an error.

    Args:
        status: Its HTTP status.
        error: One sentence.
        now: The present moment, aware.
        headers: Further headers.
    """
    # JSON can spell halves of characters, which no encoding can write.
    words = error.encode("utf-8", "replace").decode()
    body = ErrorBody(success=False, error=words, timestamp=now)
    return ModelResponse(body, status_code=status, headers=dict(headers or {}))


class _ErrorHandlers:
    """Turns what routes raise into responses.

    Args:
        clock: The present moment, aware.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def http_error(self, _: Request, error: Exception) -> ModelResponse:
        """Ours, and those of the framework: no such path, no such method, an unreadable body."""
        if not isinstance(error, HTTPException):
            raise TypeError("not an HTTP error") from error
        words = error.detail
        if error.status_code == HTTPStatus.BAD_REQUEST and not isinstance(error, ApiError):
            # The framework's only one: text in no encoding, or nested too deeply.
            words = NOT_JSON
        return error_response(error.status_code, words, now=self._clock(), headers=error.headers)

    async def invalid(self, _: Request, error: Exception) -> ModelResponse:
        """What does not fit a route's parameters or body."""
        if not isinstance(error, RequestValidationError):
            raise TypeError("not a validation error") from error
        return error_response(400, validation_message(error.errors()), now=self._clock())

    async def database_unavailable(self, _: Request, error: Exception) -> ModelResponse:
        """A database that cannot be reached, or keeps the request waiting."""
        # Its words name the host, which is no business of clients; the condition alone does not.
        _log.warning("database_unavailable", reason=str(error))
        words = DATABASE_UNAVAILABLE
        if isinstance(error, DatabaseRefused):
            words = f"The database is not available: {error.what}; try again later"
        headers = {"Retry-After": str(DATABASE_RETRY_SECONDS)}
        return error_response(503, words, now=self._clock(), headers=headers)


def handle_errors(app: FastAPI, clock: Callable[[], datetime]) -> None:
    """Have ``app`` answer its errors with the envelope; faults are the middleware's."""
    answers = _ErrorHandlers(clock)
    app.add_exception_handler(HTTPException, answers.http_error)
    app.add_exception_handler(RequestValidationError, answers.invalid)
    app.add_exception_handler(DatabaseUnavailable, answers.database_unavailable)
    app.add_exception_handler(LockTimeout, answers.database_unavailable)


def validation_message(problems: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a request, each field by the name its client used.

    Args:
        problems: As pydantic lists them.
    """
    unknown = [_field(each) for each in problems if each["type"] == "extra_forbidden"]
    others = [_problem(each) for each in problems if each["type"] != "extra_forbidden"]
    told = list(dict.fromkeys(others))[:_SHOWN_PROBLEMS]
    if unknown:
        names = ", ".join(dict.fromkeys(unknown[:_SHOWN_PROBLEMS]))
        told.append(f"Unknown field{'s' if len(unknown) > 1 else ''}: {names}")
    return "; ".join(told)


def _problem(problem: Mapping[str, Any]) -> str:
    place, kind = problem["loc"], problem["type"]
    if kind == "json_invalid":
        return NOT_JSON
    if tuple(place) == ("body",):
        return "The body must be a JSON object, sent as application/json"
    if kind == "missing":
        return f"{_field(problem)}: is missing"
    words = str(problem["msg"]).removeprefix("Value error, ")
    # A model's own sentence, about several of its fields, names them itself.
    return f"{_field(problem)}: {words}" if len(place) > 1 else words


def _field(problem: Mapping[str, Any]) -> str:
    """Its path within the body, or its name in the query, path or header."""
    # Anything may stand where a name should, also a key; it must not be cut before it is known.
    parts = (redact_text(str(part)[: 2 * _LONGEST_NAME]) for part in problem["loc"][1:])
    path = [part[:_LONGEST_NAME] for part in parts]
    return ".".join(path) or str(problem["loc"][0])


_EXAMPLES: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        400: {
            "outOfRange": "daysAhead: Input should be less than or equal to 90",
            "unknownField": "Unknown field: daysAhed",
            "notJson": NOT_JSON,
        },
        401: {"missing": MISSING_KEY, "invalid": INVALID_KEY},
        403: {
            "disabled": DISABLED_KEY,
            "expired": EXPIRED_KEY,
            "permission": permission_denied("sync:inbound"),
        },
        404: {"sync": NO_SUCH_SYNC, "case": NO_SUCH_CASE},
        405: {"method": "Method Not Allowed"},
        409: {"deactivated": INACTIVE_CLINIC, "beingStarted": BEING_STARTED},
        413: {"tooLarge": BODY_TOO_LARGE},
        422: {"otherBody": KEY_REUSED},
        429: {"calls": TOO_MANY_REQUESTS, "failures": TOO_MANY_FAILURES},
        500: {"fault": INTERNAL_ERROR},
        503: {"database": DATABASE_UNAVAILABLE, "dagster": NOT_STARTED, "unknown": NOT_KNOWN},
    }
)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_WITH_A_KEY = (401, 403, 413, 429, 500, 503)


def error_responses(*statuses: int, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its ``responses``: each with its schema and examples.

    Args:
        statuses: Those it may answer with, apart from those of every route with a key.
        key: Whether the route asks for an API key; its errors (401, 403, 413, 429, 500, 503)
            are then listed too.
    """
    wanted: Iterable[int] = sorted({*statuses, *(_WITH_A_KEY if key else ())})
    return {status: _documented(status) for status in wanted}


def _documented(status: int) -> dict[str, Any]:
    examples = {
        name: {"value": {"success": False, "error": error, "timestamp": "2026-03-09T14:00:00.000Z"}}
        for name, error in _EXAMPLES[status].items()
    }
    documented: dict[str, Any] = {
        "model": ErrorBody,
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"examples": examples}},
    }
    if status in {429, 503}:
        documented["headers"] = _RETRY_AFTER
    return documented
