"""Their clinics, and when the v4.0 service syncs each."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from pims_pipeline.domain.adoption.v4 import Layout, V4Clinic, V4Schedule
from pims_pipeline.store.v4.installation import Installation

SCHEDULE_TABLE = {
    Layout.DEPLOYED: "clinic_schedule_config",
    Layout.DOCUMENTED: "clinic_schedule_configs",
}


def clinics_of(connection: Connection, installation: Installation) -> list[V4Clinic]:
    """All clinics, active or not, by slug and id."""
    columns = ", ".join(
        [
            "c.id",
            "coalesce(CAST(c.name AS text), '') AS name",
            f"CAST({installation.column('clinics', 'c', 'slug')} AS text) AS slug",
            f"CAST({installation.column('clinics', 'c', 'pims_type')} AS text) AS pims_type",
            f"CAST({installation.column('clinics', 'c', 'timezone')} AS text) AS timezone",
            f"{installation.column('clinics', 'c', 'is_active', 'boolean')} AS is_active",
        ]
    )
    rows = connection.execute(
        text(
            f"SELECT {columns} FROM {installation.table('clinics')} AS c "  # noqa: S608 - quoted
            "ORDER BY slug NULLS LAST, c.id"
        )
    )
    return [_clinic(row) for row in rows]


def _clinic(row: Row[Any]) -> V4Clinic:
    return V4Clinic(
        id=row.id,
        name=row.name,
        slug=row.slug or None,
        pims_type=row.pims_type or None,
        timezone=row.timezone or None,
        is_in_use=row.is_active is not False,
    )


def schedule_of(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> V4Schedule | None:
    """The clinic's schedule; None if none is stored."""
    table = SCHEDULE_TABLE[installation.layout]
    if not installation.has(table):
        return None
    columns = ", ".join(
        [
            "CAST(s.sync_schedules AS text) AS sync_schedules",
            f"CAST({installation.column(table, 's', 'timezone')} AS text) AS timezone",
            f"CAST({installation.column(table, 's', 'target_room_id')} AS text) AS target_room_id",
        ]
    )
    row = connection.execute(
        text(
            f"SELECT {columns} FROM {installation.table(table)} AS s "  # noqa: S608 - quoted
            "WHERE s.clinic_id = :clinic_id LIMIT 1"
        ),
        {"clinic_id": clinic_id},
    ).one_or_none()
    if row is None:
        return None
    stored = json.loads(row.sync_schedules) if row.sync_schedules else {}
    return V4Schedule(
        sync_schedules=stored if isinstance(stored, list | dict) else {},
        timezone=row.timezone or None,
        target_room_id=row.target_room_id or None,
    )
