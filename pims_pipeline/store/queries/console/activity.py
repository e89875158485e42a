"""What syncs did, day by day, for plots. Read-only, one statement."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.console.activity import DayActivity


def activity_since(
    connection: Connection, since: datetime, clinic_id: UUID | None = None
) -> list[DayActivity]:
    """The days that have an audit, since a time (aware); of one clinic, or of all that are seen."""
    rows = connection.execute(
        text(_ACTIVITY), {"since": since, "clinic_id": clinic_id, "all": clinic_id is None}
    )
    return [DayActivity(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


_ACTIVITY = """
    SELECT (a.updated_at AT TIME ZONE 'UTC')::date AS day,
        count(*) FILTER (WHERE a.status = 'completed') AS completed,
        count(*) FILTER (WHERE a.status = 'held') AS held,
        count(*) FILTER (WHERE a.status IN ('failed', 'interrupted')) AS failed,
        avg(a.duration_ms)::float / 1000 AS mean_seconds,
        max(a.duration_ms)::float / 1000 AS longest_seconds,
        coalesce(sum(a.cases_created + a.cases_updated + a.cases_restored + a.cases_deleted
            + a.cases_enriched), 0)::bigint AS changes
    FROM case_sync_audits AS a
    WHERE a.updated_at >= :since AND (:all OR a.clinic_id = CAST(:clinic_id AS uuid))
    GROUP BY 1 ORDER BY 1
"""
