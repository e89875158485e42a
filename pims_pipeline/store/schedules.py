"""The active clinics' schedules, with what makes past ticks void; and the ticks skipped.

What is due by them is decided in ``sync/timetable.py``. A single clinic's schedule is read and
written in ``clinics``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, and_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.moments import discard_future, is_in_future, no_later_than
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.clinics import ScheduleConfig, stored_config
from pims_pipeline.store.tables import (
    clinic_schedule_configs,
    clinics,
    pims_credentials,
    schedule_skips,
)

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicSchedule:
    """When an active clinic is synced, and since when that holds. All moments in UTC.

    Attributes:
        scheduled_since: When the clinic was registered, activated anew or moved to another
            time zone.
        changed_at: When each phase's schedule was last changed, where that is known.
        skipped_until: The last tick of each phase that was skipped and counted.
        skipped_in_a_row: Ticks of each phase that were skipped since it last ran by schedule.
        login_stored_at: When the clinic's credentials were stored, if there are any.
    """

    clinic: Clinic
    config: ScheduleConfig
    scheduled_since: datetime
    changed_at: Mapping[Phase, datetime] = field(default_factory=dict)
    skipped_until: Mapping[Phase, datetime] = field(default_factory=dict)
    login_stored_at: datetime | None = None
    skipped_in_a_row: Mapping[Phase, int] = field(default_factory=dict)

    def counts_since(self, phase: Phase, now: datetime) -> datetime:
        """Since when the phase's schedule is in force as it stands, looked at from ``now``.

        Never later than that: a moment that is yet to come was noted by a clock that went wrong.
        """
        moments = (self.scheduled_since, self.changed_at.get(phase, self.scheduled_since))
        return max(no_later_than(moment, now) for moment in moments)

    def judged_since(self, phase: Phase, now: datetime) -> datetime:
        """Since when the phase could have succeeded by its schedule: a new login starts afresh."""
        since = self.counts_since(phase, now)
        stored = discard_future(self.login_stored_at, now)
        return since if stored is None else max(since, stored)

    def void_until(self, phase: Phase, now: datetime) -> datetime:
        """The moment up to which ticks of the phase never count, looked at from ``now``."""
        changed = (self.scheduled_since, self.changed_at.get(phase, self.scheduled_since))
        moments = [moment for moment in changed if not is_in_future(moment, now)]
        skipped = self.skipped_until.get(phase)
        # One that is yet to come was noted by a clock that went wrong.
        if skipped is not None and skipped <= now:
            moments.append(skipped)
        return max(moments, default=_NEVER)


class Skips(NamedTuple):
    """Ticks at which a run of the phase was still going.

    Attributes:
        number: How many.
        last: When the last one was due, in UTC.
        in_a_row: How many since the phase last ran by schedule.
    """

    number: int
    last: datetime
    in_a_row: int


class SkippedTick(NamedTuple):
    """A tick at which a run of the phase was still going."""

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
        .where(clinics.c.is_active)
        .order_by(clinics.c.slug)
    ).all()
    skips = skipped_ticks(connection)
    return [_schedule(row, skips.get(row.id, {})) for row in rows]


def skipped_ticks(connection: Connection) -> dict[UUID, dict[Phase, Skips]]:
    """What was skipped so far, by clinic and phase; nothing of those that skipped nothing."""
    found: dict[UUID, dict[Phase, Skips]] = {}
    for row in connection.execute(select(schedule_skips)):
        skips = Skips(row.skipped, row.last_skipped_at, row.in_a_row)
        found.setdefault(row.clinic_id, {})[Phase(row.sync_type)] = skips
    return found


def record_skips(connection: Connection, ticks: Iterable[SkippedTick]) -> None:
    """Count skipped ticks; one that is recorded again right away counts once."""
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
    """What the trigger noted. Where somebody wrote something else, nothing is known."""
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
