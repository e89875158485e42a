"""The errors of the API: their one body, their texts, and their OpenAPI documentation.

Every error is ``{"success": false, "error": "…", "timestamp": "…"}``. It quotes nothing that a
client sent, except names of fields, and no text of an unexpected exception. Add the text of a
new error here.
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
    """Return the error text for a key without ``permission``."""
    return f"Permission denied: {permission}"


def ahead_of_feed(last: int) -> str:
    """Return the error text for a reader that read further than the feed goes.

    Args:
        last: The number of the last change.
    """
    return (
        "after: is later than the last change, so the database was restored from a backup: read "
        f"the cases again, and then the changes after {last}"
    )


class ApiError(HTTPException):
    """Ends a request with an error response.

    Args:
        status: The HTTP status, 400 or more.
        error: One sentence, without personal data and secrets.
        headers: Further headers of the response, such as ``Retry-After``.
    """

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status_code=status, detail=error, headers=dict(headers or {}))


def error_response(
    status: int, error: str, *, now: datetime, headers: Mapping[str, str] | None = None
) -> ModelResponse:
    """Return an error response.

    Args:
        status: Its HTTP status.
        error: One sentence.
        now: The present time, aware.
        headers: Further headers.
    """
    # JSON may contain lone surrogates, which UTF-8 cannot encode.
    text = error.encode("utf-8", "replace").decode()
    body = ErrorBody(success=False, error=text, timestamp=now)
    return ModelResponse(body, status_code=status, headers=dict(headers or {}))


class _ErrorHandlers:
    """Turns what routes raise into responses.

    Args:
        clock: Returns the present time, aware.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def http_error(self, _: Request, error: Exception) -> ModelResponse:
        """Handle our errors and the framework's: unknown path, wrong method, unreadable body."""
        if not isinstance(error, HTTPException):
            raise TypeError("not an HTTP error") from error
        text = error.detail
        if error.status_code == HTTPStatus.BAD_REQUEST and not isinstance(error, ApiError):
            # The framework's only 400: bad encoding, or nested too deeply.
            text = NOT_JSON
        return error_response(error.status_code, text, now=self._clock(), headers=error.headers)

    async def invalid(self, _: Request, error: Exception) -> ModelResponse:
        """Handle invalid parameters and bodies."""
        if not isinstance(error, RequestValidationError):
            raise TypeError("not a validation error") from error
        return error_response(400, validation_message(error.errors()), now=self._clock())

    async def database_unavailable(self, _: Request, error: Exception) -> ModelResponse:
        """Handle a database that cannot be reached, or a lock that was not released in time."""
        # The message names the host, which clients must not see; the condition does not.
        _log.warning("database_unavailable", reason=str(error))
        text = DATABASE_UNAVAILABLE
        if isinstance(error, DatabaseRefused):
            text = f"The database is not available: {error.what}; try again later"
        headers = {"Retry-After": str(DATABASE_RETRY_SECONDS)}
        return error_response(503, text, now=self._clock(), headers=headers)


def handle_errors(app: FastAPI, clock: Callable[[], datetime]) -> None:
    """Register the handlers of expected errors; ``middleware`` handles unexpected ones."""
    handlers = _ErrorHandlers(clock)
    app.add_exception_handler(HTTPException, handlers.http_error)
    app.add_exception_handler(RequestValidationError, handlers.invalid)
    app.add_exception_handler(DatabaseUnavailable, handlers.database_unavailable)
    app.add_exception_handler(LockTimeout, handlers.database_unavailable)


def validation_message(problems: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with a request; fields by the names that the client used.

    Args:
        problems: As pydantic lists them.
    """
    unknown = [_field(each) for each in problems if each["type"] == "extra_forbidden"]
    others = [_problem(each) for each in problems if each["type"] != "extra_forbidden"]
    messages = list(dict.fromkeys(others))[:_SHOWN_PROBLEMS]
    if unknown:
        names = ", ".join(dict.fromkeys(unknown[:_SHOWN_PROBLEMS]))
        messages.append(f"Unknown field{'s' if len(unknown) > 1 else ''}: {names}")
    return "; ".join(messages)


def _problem(problem: Mapping[str, Any]) -> str:
    place, kind = problem["loc"], problem["type"]
    if kind == "json_invalid":
        return NOT_JSON
    if tuple(place) == ("body",) and kind != "value_error":
        return "The body must be a JSON object, sent as application/json"
    if kind == "missing":
        return f"{_field(problem)}: is missing"
    text = str(problem["msg"]).removeprefix("Value error, ")
    # A message about several fields of a model names them itself.
    return f"{_field(problem)}: {text}" if len(place) > 1 else text


def _field(problem: Mapping[str, Any]) -> str:
    """Return its path within the body, or its name in the query, path or header."""
    # A client may send a secret as a name. Redact before cutting: a cut secret is not recognized.
    parts = (redact_text(str(part)[: 2 * _LONGEST_NAME]) for part in problem["loc"][1:])
    path = [part[:_LONGEST_NAME] for part in parts]
    return ".".join(path) or str(problem["loc"][0])


_EXAMPLES: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        400: {
            "outOfRange": "daysAhead: Input should be less than or equal to 90",
            "unknownField": "Unknown field: daysAhed",
            "datesTwice": "dateRange: must not be given with startDate or endDate",
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
        409: {
            "deactivated": INACTIVE_CLINIC,
            "beingStarted": BEING_STARTED,
            "restored": ahead_of_feed(42),
        },
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
    """Return the errors of a route, for its ``responses``: each with its schema and examples.

    Args:
        statuses: The error statuses of the route, besides those of every route with a key.
        key: Whether the route needs an API key; adds 401, 403, 413, 429, 500 and 503.
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
