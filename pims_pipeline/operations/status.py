"""The status of the clinics by the database's clock. Read-only."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.domain.phases import Phase
from pims_pipeline.scheduling.lateness import ScheduleStatus, schedule_status
from pims_pipeline.store.clinics import UnknownClinic
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import ClinicState, clinic_states

_NOT_ACTIVE = ScheduleStatus(schedule=ScheduleState.OFF)


@dataclass(frozen=True, slots=True)
class StatusOverview:
    """The status of the clinics at one time.

    Attributes:
        states: In the order of the slugs.
        clock: The database's clock, compared with this host's.
    """

    states: list[ClinicState]
    clock: ClockReading

    @property
    def now(self) -> datetime:
        """The time for which the status holds, aware; this host's clock may be wrong."""
        return self.clock.database


def status_overview(engine: Engine, slug: str | None = None) -> StatusOverview:
    """The status of one clinic, or of all if ``slug`` is None.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clock = clock_of(connection)
        states = clinic_states(connection, clock.database)
    if slug is None:
        return StatusOverview(states, clock)
    chosen = [state for state in states if state.clinic.slug == slug]
    if not chosen:
        raise UnknownClinic([slug])
    return StatusOverview(chosen, clock)


def punctuality(state: ClinicState, phase: Phase, *, now: datetime) -> ScheduleStatus:
    """When a phase of a clinic is due, and whether it is overdue; off for an inactive clinic."""
    if state.schedule is None:
        return _NOT_ACTIVE
    return schedule_status(
        state.schedule, phase, state.phases[phase].last.last_completed_or_held, now
    )
