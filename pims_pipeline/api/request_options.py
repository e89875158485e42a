"""The header ``Prefer`` (RFC 7240), and the cursors of the list of syncs."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.request import parse_http_list
from uuid import UUID

from pims_pipeline.domain.api_keys import LONGEST_WAIT_SECONDS
from pims_pipeline.store.queries.syncs import SyncCursor

_MOST_DIGITS = 9


class BadCursor(ValueError):
    """The text is not a cursor of this API."""


def preferred_wait(headers: Sequence[str]) -> int | None:
    """Return how many seconds the client wants to wait, at most 120; None if it does not say.

    ``respond-async`` without a wait is 0, as ``wait=0`` is. The first of several waits counts.
    Malformed values are ignored, as RFC 7240 requires.
    """
    wants_no_wait = False
    for element in (each for header in headers for each in parse_http_list(header)):
        name, _, value = element.partition(";")[0].partition("=")
        preference = name.strip().lower()
        wants_no_wait = wants_no_wait or preference == "respond-async"
        if preference == "wait":
            digits = value.strip().strip('"')
            if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
                break
            return min(int(digits), LONGEST_WAIT_SECONDS)
    return 0 if wants_no_wait else None


def cursor_text(position: SyncCursor) -> str:
    """Return the opaque text of a position in the list."""
    text = f"{position.created_at.astimezone(UTC).isoformat()}|{position.sync_id.hex}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def cursor_of(cursor: str) -> SyncCursor:
    """Return the position of a cursor.

    Raises:
        BadCursor: If this API did not create the cursor.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        created_at, _, sync_id = text.partition("|")
        position = SyncCursor(datetime.fromisoformat(created_at), UUID(hex=sync_id))
        # Other spellings of the same position were never handed out.
        is_ours = position.created_at.tzinfo is not None and cursor_text(position) == cursor
    except (binascii.Error, OverflowError, ValueError) as error:
        raise BadCursor("not a cursor") from error
    if not is_ours:
        raise BadCursor("not a cursor")
    return position
