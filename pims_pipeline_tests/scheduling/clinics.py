"""Schedules of clinics, and times by their clocks."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule, ScheduleConfig
from pims_pipeline.scheduling.timetable import DueTicks
from pims_pipeline_tests.scheduling.oracle import NEW_YORK

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def times(zone: str, *clocks: str) -> list[datetime]:
    """Times by a wall clock in the zone; ``B`` at the end means the second time it shows it."""
    found = []
    for clock in clocks:
        local = datetime.fromisoformat(clock.removesuffix("B"))
        first = local.replace(tzinfo=ZoneInfo(zone), fold=int(clock.endswith("B")))
        found.append(first.astimezone(UTC))
    return found


def schedule(
    slug: str = "alder",
    zone: str = NEW_YORK,
    since: datetime = LONG_AGO,
    changed_at: datetime | None = None,
    **crons: str,
) -> ClinicSchedule:
    """The schedule of a clinic; phases without a cron expression are off."""
    stored = {phase: crons.get(phase.value, "off") for phase in Phase}
    return ClinicSchedule(
        clinic=Clinic(
            id=UUID(int=int.from_bytes(slug.encode())),
            slug=slug,
            name=slug.title(),
            timezone=zone,
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
            is_active=True,
        ),
        config=ScheduleConfig(sync_schedules=stored),
        scheduled_since=since,
        changed_at={} if changed_at is None else dict.fromkeys(Phase, changed_at),
    )


def at(clock: str) -> datetime:
    """A time in New York in January 2026, such as ``05T10:00``."""
    return times(NEW_YORK, f"2026-01-{clock}")[0]


def due(decision: DueTicks) -> list[tuple[str, str, datetime]]:
    return [(each.slug, each.phase.value, each.tick) for each in decision.due]
