"""The shapes that are kept of clinics' vendors, and how they changed since last week."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.drift import WEEK, Drift, SeenShape, drift
from pims_pipeline.store.clinics import is_synced_in

_WEEKS_COMPARED = timedelta(weeks=4)

_SEEN = """
    SELECT {columns} s.path, s.json_type, min(s.first_seen_at) AS first_seen_at,
           max(s.last_seen_at) AS last_seen_at,
           coalesce(jsonb_object_agg(s.week, s.seen)
                    FILTER (WHERE s.last_seen_at >= :compared_from), '{{}}') AS weeks,
           CAST(coalesce(sum(s.seen) FILTER (WHERE s.first_seen_at >= :start), 0) AS bigint)
               AS lately
    FROM vendor_shapes AS s {joined}
    WHERE {condition} AND s.first_seen_at <= :now
    GROUP BY {columns} s.path, s.json_type
    ORDER BY {columns} s.path, s.json_type
"""

_OF_CLINIC = _SEEN.format(
    columns="",
    joined="",
    condition="s.clinic_id = :clinic_id AND s.provider_type = :provider_type",
)
_OF_ALL = _SEEN.format(
    columns="c.slug,",
    joined="JOIN clinics AS c ON c.id = s.clinic_id AND c.provider_type = s.provider_type",
    condition=is_synced_in("c"),
)


def clinic_drift(
    connection: Connection,
    clinic: Clinic,
    now: datetime,
    endpoints: Collection[str] | None = None,
) -> Drift:
    """What changed at the clinic's vendor in the seven days before ``now`` (aware).

    Only at ``endpoints``, if they are given.
    """
    given = {"clinic_id": clinic.id, "provider_type": clinic.provider_type, **_moments(now)}
    seen = connection.execute(text(_OF_CLINIC), given)
    return drift(map(_seen_shape, seen), now, endpoints=endpoints)


def drift_of_all(connection: Connection, now: datetime) -> dict[str, Drift]:
    """What changed at the vendor of each synced clinic that has shapes, by slug."""
    rows = connection.execute(text(_OF_ALL), _moments(now))
    return {
        slug: drift(map(_seen_shape, seen), now)
        for slug, seen in groupby(rows, key=lambda row: str(row.slug))
    }


def _moments(now: datetime) -> dict[str, datetime]:
    return {"now": now, "start": now - WEEK, "compared_from": now - _WEEKS_COMPARED}


def _seen_shape(row: Row[*tuple[object, ...]]) -> SeenShape:
    return SeenShape(
        path=row.path,
        json_type=row.json_type,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        weeks={date.fromisoformat(week): seen for week, seen in row.weeks.items()},
        lately=row.lately,
    )


@dataclass(frozen=True, slots=True)
class WeeklyShape:
    """A path with one JSON type, and how often it was seen in each week, by their Mondays."""

    path: str
    json_type: str
    weeks: tuple[tuple[date, int], ...]


def weekly_shapes(connection: Connection, clinic_id: UUID, provider_type: str) -> list[WeeklyShape]:
    """Everything that is kept of a clinic's vendor, by path and type, oldest week first."""
    rows = connection.execute(
        text(
            "SELECT path, json_type, week, seen FROM vendor_shapes WHERE clinic_id = :clinic_id "
            "AND provider_type = :provider_type ORDER BY path, json_type, week"
        ),
        {"clinic_id": clinic_id, "provider_type": provider_type},
    )
    weeks: defaultdict[tuple[str, str], list[tuple[date, int]]] = defaultdict(list)
    for row in rows:
        weeks[row.path, row.json_type].append((row.week, row.seen))
    return [WeeklyShape(*kind, tuple(each)) for kind, each in weeks.items()]
