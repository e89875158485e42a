"""Their schedule of a clinic, exactly as stored, and changing it. ``clinics`` reads its meaning."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.store.v4.clinics import SCHEDULE_TABLE
from pims_pipeline.store.v4.installation import Installation
from pims_pipeline.store.v4.their_path import at_theirs


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A row of theirs; ``sync_schedules`` is None if it is no list or object, or one of several."""

    sync_schedules: Sequence[Any] | Mapping[str, Any] | None


def locked_schedule(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> StoredSchedule | None:
    """The clinic's schedule, locked until the transaction ends; None if none is stored."""
    table = SCHEDULE_TABLE[installation.layout]
    if not installation.has(table):
        return None
    rows = connection.execute(
        text(
            "SELECT CAST(s.sync_schedules AS text) AS sync_schedules "  # noqa: S608 - quoted
            f"FROM {installation.table(table)} AS s WHERE s.clinic_id = :clinic_id FOR UPDATE"
        ),
        {"clinic_id": clinic_id},
    ).all()
    if not rows:
        return None
    # Each of several may start syncs, and they cannot be turned off and on as one.
    only = rows[0].sync_schedules if len(rows) == 1 else None
    stored = json.loads(only) if only else None
    return StoredSchedule(stored if isinstance(stored, list | dict) else None)


def set_schedule(
    connection: Connection,
    installation: Installation,
    clinic_id: UUID,
    sync_schedules: Sequence[Any] | Mapping[str, Any],
) -> None:
    """Replace the clinic's schedule.

    Raises:
        ApplicationRefused: If a constraint or a trigger of theirs refuses it.
    """
    table = SCHEDULE_TABLE[installation.layout]
    also = ", updated_at = now()" if installation.has(table, "updated_at") else ""
    with at_theirs(connection, installation):
        connection.execute(
            text(
                f"UPDATE {installation.table(table)} "  # noqa: S608 - quoted
                f"SET sync_schedules = CAST(:schedules AS jsonb){also} "
                "WHERE clinic_id = :clinic_id"
            ),
            {"clinic_id": clinic_id, "schedules": json.dumps(sync_schedules)},
        )
