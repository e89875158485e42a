"""The overview: the status of the operator's clinics, and what syncs did in the last days."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from pims_pipeline.domain.console.activity import DayActivity
from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.operations.status import punctuality
from pims_pipeline.scheduling.lateness import ScheduleStatus
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import ClinicState, PhaseState, clinic_states
from pims_pipeline.store.queries.console.activity import activity_since

ACTIVITY_DAYS = 14


@dataclass(frozen=True, slots=True)
class PhaseSummary:
    """A phase of a clinic, and whether it is punctual."""

    phase: Phase
    state: PhaseState
    schedule: ScheduleStatus

    @property
    def has_failed(self) -> bool:
        """Whether its newest audit failed or was interrupted."""
        latest = self.state.latest
        return latest is not None and latest.status in {
            AuditStatus.FAILED,
            AuditStatus.INTERRUPTED,
        }


@dataclass(frozen=True, slots=True)
class ClinicSummary:
    """A clinic on the overview."""

    state: ClinicState
    phases: tuple[PhaseSummary, ...]

    @property
    def troubles(self) -> int:
        """How many things of it a person should look at."""
        if not self.state.clinic.is_active:
            return 0
        late = sum(each.schedule.is_late or each.has_failed for each in self.phases)
        login = self.state.credentials in {"invalid", "needs_human"}
        waiting = self.state.open_holds + self.state.failures.dead_letters
        return late + login + waiting


@dataclass(frozen=True, slots=True)
class Overview:
    """The operator's clinics at one time.

    Attributes:
        clinics: Those with troubles first, then by slug.
        days: Each of the last ``ACTIVITY_DAYS`` days in UTC, oldest first.
    """

    clinics: tuple[ClinicSummary, ...]
    days: tuple[DayActivity, ...]
    clock: ClockReading

    @property
    def now(self) -> datetime:
        """The time for which it holds, aware, by the database's clock."""
        return self.clock.database


def overview(view: OperatorView) -> Overview:
    """The overview of the operator's clinics."""
    with transaction(view.engine) as connection:
        clock = clock_of(connection)
        states = clinic_states(connection, clock.database)
        days = activity_since(connection, first_moment(clock.database))
    clinics = sorted(
        (summary_of(state, clock.database) for state in states),
        key=lambda each: (-min(each.troubles, 1), each.state.clinic.slug),
    )
    return Overview(tuple(clinics), tuple(every_day(days, clock.database)), clock)


def summary_of(state: ClinicState, now: datetime) -> ClinicSummary:
    """A clinic with the punctuality of its phases at ``now`` (aware)."""
    phases = (
        PhaseSummary(phase, state.phases[phase], punctuality(state, phase, now=now))
        for phase in Phase
    )
    return ClinicSummary(state, tuple(phases))


def first_moment(now: datetime) -> datetime:
    """When the first of the last ``ACTIVITY_DAYS`` days began, in UTC."""
    first = now.astimezone(UTC).date() - timedelta(days=ACTIVITY_DAYS - 1)
    return datetime.combine(first, time.min, UTC)


def every_day(known: list[DayActivity], now: datetime) -> Iterator[DayActivity]:
    """Each of the last days, also those without any audit."""
    by_day: Mapping[object, DayActivity] = {each.day: each for each in known}
    first = first_moment(now).date()
    for number in range(ACTIVITY_DAYS):
        day = first + timedelta(days=number)
        yield by_day.get(day) or DayActivity(
            day=day,
            completed=0,
            held=0,
            failed=0,
            mean_seconds=None,
            longest_seconds=None,
            changes=0,
        )
