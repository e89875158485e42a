"""Adding to the shapes that are kept of a clinic's vendor, and deleting old ones.

What a shape is, and which names it may hold, belongs in ``pims_pipeline.domain.records.shapes``.
"""

from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.drift import week_of
from pims_pipeline.domain.records.shapes import MAX_PATHS, Shapes
from pims_pipeline.store.database.batches import Columns, execute_batches

_BATCH = 2_000
_COLUMNS: Columns = {
    "path": ("text", attrgetter("path")),
    "json_type": ("text", attrgetter("json_type")),
    "seen": ("bigint", attrgetter("seen")),
}

# Paths of this week first, so that others cannot displace them.
_ADDED = """
    INSERT INTO vendor_shapes AS known (
        clinic_id, provider_type, week, path, json_type, seen, first_seen_at, last_seen_at)
    WITH r AS (SELECT * FROM {rows}),
    kept AS (
        SELECT DISTINCT path FROM vendor_shapes
        WHERE clinic_id = :clinic_id AND provider_type = :provider_type AND week = :week),
    fresh AS (
        SELECT path FROM r EXCEPT SELECT path FROM kept
        ORDER BY path LIMIT greatest(0, :most - (SELECT count(*) FROM kept)))
    SELECT :clinic_id, :provider_type, :week, path, json_type, seen, :seen_at, :seen_at
    FROM r WHERE path IN (SELECT path FROM kept UNION ALL SELECT path FROM fresh)
    ORDER BY path, json_type
    ON CONFLICT (clinic_id, provider_type, week, path, json_type) DO UPDATE SET
        seen = known.seen + excluded.seen,
        first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
"""


def add_shapes(connection: Connection, clinic: Clinic, shapes: Shapes, seen_at: datetime) -> None:
    """Add the shapes to those of the week of ``seen_at`` (aware UTC), in one statement.

    At most ``MAX_PATHS`` paths are kept of a clinic's week; others are left out.

    Args:
        connection: In a transaction that holds the clinic's lock.
        clinic: Whose vendor sent them.
        shapes: With confirmed names only: see ``shapes.named``.
        seen_at: When they were seen.
    """
    execute_batches(
        connection,
        _ADDED,
        _COLUMNS,
        shapes,
        {
            "clinic_id": clinic.id,
            "provider_type": clinic.provider_type,
            "week": week_of(seen_at),
            "seen_at": seen_at,
            "most": MAX_PATHS,
        },
    )


def prune_shapes(connection: Connection, before: datetime) -> int:
    """Delete a batch of the shapes of weeks that were last seen before then (aware)."""
    statement = text(
        "DELETE FROM vendor_shapes WHERE last_seen_at < :before AND ctid = ANY (ARRAY("
        "SELECT ctid FROM vendor_shapes WHERE last_seen_at < :before LIMIT :batch))"
    )
    return connection.execute(statement, {"before": before, "batch": _BATCH}).rowcount
