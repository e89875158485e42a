"""The active clinics' schedules, since when each counts, and the skipped ticks.

``scheduling/timetable.py`` decides what is due. ``clinics`` reads and writes one clinic's schedule.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, and_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule
from pims_pipeline.store.clinics import is_synced, stored_config
from pims_pipeline.store.tables.access import pims_credentials
from pims_pipeline.store.tables.clinics import clinic_schedule_configs, clinics
from pims_pipeline.store.tables.operations import schedule_skips


class Skips(NamedTuple):
    """Ticks at which a run of the phase was still active.

    Attributes:
        number: How many.
        last: When the last one was due, in UTC.
        in_a_row: How many since the phase last ran by schedule.
    """

    number: int
    last: datetime
    in_a_row: int


class SkippedTick(NamedTuple):
    """A tick at which a run of the phase was still active."""

    clinic_id: UUID
    phase: Phase
    tick: datetime


_CLINIC = (
    clinics.c.id,
    clinics.c.slug,
    clinics.c.name,
    clinics.c.timezone,
    clinics.c.provider_type,
    clinics.c.provider_base_url,
    clinics.c.is_active,
)
_CONFIG = (
    clinic_schedule_configs.c.clinic_id,
    clinic_schedule_configs.c.sync_schedules,
    clinic_schedule_configs.c.schedules_changed_at,
    clinic_schedule_configs.c.days_ahead,
    clinic_schedule_configs.c.lookback_days,
    clinic_schedule_configs.c.parallel_batch_size,
)


def active_schedules(connection: Connection) -> list[ClinicSchedule]:
    """The schedules of the active clinics, by slug; the defaults where none is stored."""
    rows = connection.execute(
        select(
            *_CLINIC,
            clinics.c.scheduled_since,
            *_CONFIG,
            pims_credentials.c.updated_at.label("login_stored_at"),
        )
        .outerjoin_from(clinics, clinic_schedule_configs)
        .outerjoin(
            pims_credentials,
            and_(
                pims_credentials.c.clinic_id == clinics.c.id,
                pims_credentials.c.provider_type == clinics.c.provider_type,
            ),
        )
        .where(is_synced())
        .order_by(clinics.c.slug)
    ).all()
    skips = skipped_ticks(connection)
    return [_schedule(row, skips.get(row.id, {})) for row in rows]


def skipped_ticks(connection: Connection) -> dict[UUID, dict[Phase, Skips]]:
    """The skipped ticks by clinic and phase; those without any are left out."""
    found: dict[UUID, dict[Phase, Skips]] = {}
    for row in connection.execute(select(schedule_skips)):
        skips = Skips(row.skipped, row.last_skipped_at, row.in_a_row)
        found.setdefault(row.clinic_id, {})[Phase(row.sync_type)] = skips
    return found


def record_skips(connection: Connection, ticks: Iterable[SkippedTick]) -> None:
    """Count skipped ticks; one that is recorded twice in a row counts once."""
    values = [
        {
            "clinic_id": clinic_id,
            "sync_type": phase,
            "skipped": 1,
            "in_a_row": 1,
            "last_skipped_at": tick,
        }
        for clinic_id, phase, tick in ticks
    ]
    if not values:
        return
    statement = insert(schedule_skips)
    statement = statement.on_conflict_do_update(
        index_elements=["clinic_id", "sync_type"],
        set_={
            "skipped": schedule_skips.c.skipped + 1,
            "in_a_row": schedule_skips.c.in_a_row + 1,
            "last_skipped_at": statement.excluded.last_skipped_at,
        },
        where=schedule_skips.c.last_skipped_at != statement.excluded.last_skipped_at,
    )
    connection.execute(statement, values)


def end_skips(connection: Connection, phases: Collection[tuple[UUID, Phase]]) -> None:
    """Record that these phases of clinics run by schedule again."""
    if not phases:
        return
    key = tuple_(schedule_skips.c.clinic_id, schedule_skips.c.sync_type)
    connection.execute(
        update(schedule_skips)
        .where(schedule_skips.c.in_a_row > 0, key.in_([(each, phase) for each, phase in phases]))
        .values(in_a_row=0)
    )


def _schedule(row: Row[*tuple[object, ...]], skips: Mapping[Phase, Skips]) -> ClinicSchedule:
    has_config = row.clinic_id is not None
    return ClinicSchedule(
        clinic=Clinic(
            id=row.id,
            slug=row.slug,
            name=row.name,
            timezone=row.timezone,
            provider_type=row.provider_type,
            provider_base_url=row.provider_base_url,
            is_active=row.is_active,
        ),
        config=stored_config(row if has_config else None),
        scheduled_since=row.scheduled_since,
        changed_at=_moments(row.schedules_changed_at) if has_config else {},
        skipped_until={phase: each.last for phase, each in skips.items()},
        login_stored_at=row.login_stored_at,
        skipped_in_a_row={phase: each.in_a_row for phase, each in skips.items()},
    )


def _moments(stored: object) -> dict[Phase, datetime]:
    """The times that the trigger noted; empty where an operator wrote something else."""
    if not isinstance(stored, dict):
        return {}
    read = {phase: _moment(stored.get(phase)) for phase in Phase}
    return {phase: moment for phase, moment in read.items() if moment is not None}


def _moment(stored: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(stored))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
