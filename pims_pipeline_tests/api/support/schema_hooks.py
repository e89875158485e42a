"""Hooks of schemathesis: the data that it generates, and findings to ignore."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

_IDEMPOTENCY_KEY = "Idempotency-Key"
_PREFER, _EXAMPLE_OF_WAITING = "Prefer", "wait=60"
_KEPT_KEYS = 4
"""Of this many keys, one is left unchanged, and is used repeatedly."""
_DATES = r"startDate|endDate|dateRange\.start|dateRange\.end"
_IGNORED_REFUSALS = (
    # Which dates can be synced depends on today, and on the other date; dates have one form.
    (400, re.compile(rf"({_DATES}|dateRange): must .*|({_DATES}): .*366.*")),
    # In the document a cursor is any text. Half of those sent are real ones.
    (400, re.compile(r"cursor: must be a nextCursor that this API gave")),
    # Most repeated keys come with a different request.
    (422, re.compile(r"Idempotency-Key was used with another request")),
)
"""Refusals of requests that the document allows: status and text."""

_today = datetime.now(UTC).date()
_days = strategies.dates(_today - timedelta(days=400), _today + timedelta(days=100))
schemathesis.openapi.format("date", _days.map(str))
_calls = itertools.count()


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext,  # noqa: ARG001 - the hook's signature
    case: schemathesis.Case[Any],
    kwargs: dict[str, Any],  # noqa: ARG001 - as above
) -> None:
    """Give most requests a key of their own, so that they are not replays; none waits for long."""
    if case.headers and case.headers.get(_PREFER) == _EXAMPLE_OF_WAITING:
        # After the newest change, the feed would wait for another one.
        case.headers[_PREFER] = "wait=1"
    if case.headers and case.headers.get(_IDEMPOTENCY_KEY):
        number = next(_calls)
        if number % _KEPT_KEYS:
            case.headers[_IDEMPOTENCY_KEY] = f"{case.headers[_IDEMPOTENCY_KEY]}-{number}"


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,  # noqa: ARG001 - the hook's signature
    failure: Failure,
    case: schemathesis.Case[Any],  # noqa: ARG001 - as above
    response: schemathesis.Response,
) -> bool:
    """Whether it is a failure."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    error = response.json()["error"]
    return not any(
        response.status_code == status and text.fullmatch(error)
        for status, text in _IGNORED_REFUSALS
    )
