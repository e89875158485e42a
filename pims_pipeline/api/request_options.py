"""The header ``Prefer`` (RFC 7240), of which ``wait`` is honoured; and the list's cursors."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.request import parse_http_list
from uuid import UUID

from pims_pipeline.store.queries.syncs import SyncCursor

LONGEST_WAIT_SECONDS = 120
_MOST_DIGITS = 9


class BadCursor(ValueError):
    """The text is no cursor of ours."""


def preferred_wait(headers: Sequence[str]) -> int | None:
    """So many seconds the client would wait for the sync to end; at most 120.

    Of several the first counts. What is malformed is ignored, as the standard wants it.
    """
    for element in (each for header in headers for each in parse_http_list(header)):
        name, _, value = element.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            digits = value.strip().strip('"')
            if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
                return None
            return min(int(digits), LONGEST_WAIT_SECONDS) or None
    return None


def cursor_text(position: SyncCursor) -> str:
    """The opaque text of a position in the list."""
    text = f"{position.created_at.astimezone(UTC).isoformat()}|{position.sync_id.hex}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def cursor_of(cursor: str) -> SyncCursor:
    """The position that a cursor names.

    Raises:
        BadCursor: If it is none.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        moment, _, sync_id = text.partition("|")
        position = SyncCursor(datetime.fromisoformat(moment), UUID(hex=sync_id))
        # There are other ways to write the same; ours alone was ever given.
        is_ours = position.created_at.tzinfo is not None and cursor_text(position) == cursor
    except (binascii.Error, OverflowError, ValueError) as error:
        raise BadCursor("not a cursor") from error
    if not is_ours:
        raise BadCursor("not a cursor")
    return position
