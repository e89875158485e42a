"""Fetching what changed at a location since a moment: two requests, or one more for ten changes.

One for what was booked or changed, then one for what was deleted: an appointment in both was
deleted last. More than a page, a row that cannot be read, or a fault, and the calendar is listed
instead. What rows mean belongs in ``parsing/listing.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pims_pipeline.providers.parsing.fields import UnreadableField, as_flag
from pims_pipeline.providers.vetspire import documents
from pims_pipeline.providers.vetspire.client import ServerFault, VetspireClient
from pims_pipeline.providers.vetspire.listing import SMALLEST_CAP
from pims_pipeline.providers.vetspire.parsing.listing import of_location, readable_identity
from pims_pipeline.providers.vetspire.parsing.shapes import rows_of

_TRIES = 2


@dataclass(frozen=True, slots=True)
class FetchedChanges:
    """What changed.

    Attributes:
        rows: Of what was booked or changed, also on dates outside any window.
        deleted: The identities of what was deleted.
    """

    rows: tuple[object, ...]
    deleted: tuple[str, ...]


def fetch_changes(
    client: VetspireClient, location_id: str, since: datetime, *, page_rows: int
) -> FetchedChanges | None:
    """What changed at the location since then (aware); None if that is more than a page.

    Raises:
        ContractViolation: If the vendor does not answer the query, or with other rows.
        PimsError: From the requests.
    """
    variables = {
        "loc": location_id,
        # Documented as UTC, without a zone.
        "since": since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
    }
    changed = _all(client, documents.CHANGED, variables, page_rows)
    gone = None if changed is None else _all(client, documents.DELETED, variables, page_rows)
    deleted = None if gone is None else _deleted(of_location(gone, location_id))
    if changed is None or deleted is None:
        return None
    return FetchedChanges(
        tuple(row for row in changed if readable_identity(row) not in deleted), deleted
    )


def _all(
    client: VetspireClient, document: str, variables: Mapping[str, object], page_rows: int
) -> list[object] | None:
    """The rows; None if they are more than a page, or if the vendor fails over one of them."""
    page = partial(_page, client, document, variables)
    try:
        rows = page(limit=page_rows, offset=0)
        # A server may send fewer at once than were requested.
        may_be_cut = len(rows) >= SMALLEST_CAP
        is_full = len(rows) >= page_rows or (may_be_cut and page(limit=1, offset=len(rows)))
    except ServerFault:
        return None
    return None if is_full else rows


def _page(
    client: VetspireClient,
    document: str,
    variables: Mapping[str, object],
    *,
    limit: int,
    offset: int,
) -> list[object]:
    what = "the changes"
    asked = {**variables, "limit": limit, "offset": offset}
    return rows_of(client.query_records(document, asked, what=what, tries=_TRIES), what)


def _deleted(rows: Iterable[object]) -> tuple[str, ...] | None:
    """The identities of the rows; None if one has none, or does not say that it is deleted.

    A vendor that ignored the argument would send what is not deleted.
    """
    found: list[str] = []
    for row in rows:
        identity = readable_identity(row)
        if identity is None or not _is_deleted(row):
            return None
        found.append(identity)
    return tuple(found)


def _is_deleted(row: object) -> bool:
    try:
        return isinstance(row, Mapping) and as_flag(row.get("deleted"), "deleted")
    except UnreadableField:
        return False
