"""``/api/changes``: the change feed of a clinic; ``changes.ChangeFeed`` reads it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import BeforeValidator, Field, WithJsonSchema

from pims_pipeline.api.access.auth import GuardedRoute, ReadKey
from pims_pipeline.api.changes import MOST_VALUES, FeedPosition
from pims_pipeline.api.dependencies import Changes
from pims_pipeline.api.errors import error_responses
from pims_pipeline.api.examples import CHANGES
from pims_pipeline.api.request_options import preferred_wait
from pims_pipeline.api.responses import ModelResponse
from pims_pipeline.domain.api_keys import READ_VALUES
from pims_pipeline.store.queries.changes import newest_change
from pims_pipeline.wire.feed.changes import ChangeList

MOST_CHANGES = 1000
_LARGEST = 2**63 - 1
_LATEST = "latest"

router = APIRouter(prefix="/api/changes", tags=["cases"], route_class=GuardedRoute)

_After = Annotated[
    Annotated[int, Field(ge=0, le=_LARGEST)] | None,
    Query(
        description="The `nextAfter` of the previous page; 0 for all changes, `latest` for those "
        "from now on."
    ),
    BeforeValidator(lambda sent: None if sent == _LATEST else sent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": _LARGEST},
                {"type": "string", "const": _LATEST},
            ]
        }
    ),
]
"""None is the present end."""
_Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait=N`: if there is no change yet, wait up to N seconds (120 at most) "
        "for one.",
    ),
    # Any text is valid: RFC 7240 ignores unknown preferences.
    WithJsonSchema({"type": "string", "examples": ["wait=60"]}),
]


@router.get(
    "",
    response_model=ChangeList,
    responses={
        200: {
            "description": "The next changes; none if there are no more.",
            "content": {"application/json": {"examples": {"page": {"value": CHANGES}}}},
            "headers": {
                "Preference-Applied": {
                    "description": "The `wait` of `Prefer`, if it was applied.",
                    "schema": {"type": "string"},
                }
            },
        },
        **error_responses(400, 409),
    },
    summary="Read the changes of cases",
)
def list_changes(
    *,
    feed: Changes,
    key: ReadKey,
    after: _After = 0,
    limit: Annotated[
        int, Query(ge=1, le=MOST_CHANGES, description="Number of changes, at most.")
    ] = 100,
    values: Annotated[
        bool,
        Query(
            description="Whether to return what the fields had before and after. Needs the "
            f"permission `{READ_VALUES}`; a page then has {MOST_VALUES} changes at most."
        ),
    ] = False,
    prefer: _Prefer = None,
) -> ModelResponse:
    """Return the changes after a given one, in the order in which they were committed.

    Each change is returned once to a reader that always continues with `nextAfter`.
    """
    allowed = key.requiring(READ_VALUES) if values else key
    most = min(limit, MOST_VALUES) if values else limit
    headers = {"Cache-Control": "no-store"}
    with allowed.clinic_transaction() as (caller, connection):
        start = newest_change(connection, caller.clinic_id) if after is None else after
        position = FeedPosition(start, most, values)
        found = feed.read(connection, caller.clinic_id, position)
    seconds = preferred_wait(prefer or [])
    if seconds and not found:
        found, has_waited = feed.wait(allowed, caller.clinic_id, position, seconds)
        if has_waited:
            headers["Preference-Applied"] = f"wait={seconds}"
    page = ChangeList.of(found, after=start, limit=most)
    return ModelResponse(page, headers=headers)
