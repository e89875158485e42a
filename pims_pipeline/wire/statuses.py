"""The status of clinics: their phases, their login, and what an operator must decide."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase, PhaseName
from pims_pipeline.scheduling.lateness import ScheduleStatus
from pims_pipeline.store.audits import Audit
from pims_pipeline.store.queries.clinic_status import ClinicSession, ClinicState, PhaseState
from pims_pipeline.wire.shape import Model, Timestamp

JudgePhase = Callable[[ClinicState, Phase], ScheduleStatus]
"""Returns the schedule status of a phase of a clinic."""


class LatestAudit(Model):
    """The newest audit of a phase."""

    sync_id: UUID
    status: AuditStatus
    started_at: Timestamp
    error_class: str | None
    error: str | None

    @classmethod
    def of(cls, audit: Audit) -> Self:
        """Build it from a stored audit."""
        return cls(
            sync_id=audit.id,
            status=audit.status,
            started_at=audit.created_at,
            error_class=audit.error_class,
            error=audit.error_message,
        )


class PhaseStatus(Model):
    """The status of a phase of a clinic."""

    last_success_at: Timestamp | None
    last_completed_or_held_at: Timestamp | None
    age_seconds: int | None
    next_due_at: Timestamp | None
    schedule: Literal["on", "off", "malformed"]
    is_late: bool
    ticks_skipped: int
    latest: LatestAudit | None

    @classmethod
    def of(cls, state: PhaseState, schedule: ScheduleStatus, now: datetime) -> Self:
        """Build it from a phase and its schedule status at ``now``."""
        success = state.last.last_success
        return cls(
            last_success_at=success,
            last_completed_or_held_at=state.last.last_completed_or_held,
            age_seconds=max(0, round((now - success).total_seconds())) if success else None,
            next_due_at=schedule.next_due,
            schedule=schedule.schedule,
            is_late=schedule.is_late,
            ticks_skipped=state.skips.number if state.skips else 0,
            latest=LatestAudit.of(state.latest) if state.latest else None,
        )


class SessionStatus(Model):
    """The stored session of a clinic; a valid one needs no login."""

    status: Literal["none", "stored", "expired"]
    expires_at: Timestamp | None
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, session: ClinicSession) -> Self:
        """Build it from a stored session."""
        return cls(
            status=session.status,
            expires_at=session.expires_at,
            last_used_at=session.last_used_at,
        )


class ClinicStatus(Model):
    """The status of a clinic."""

    slug: str
    name: str
    timezone: str
    is_active: bool
    phases: dict[PhaseName, PhaseStatus]
    credentials: CredentialStatus | None
    session: SessionStatus
    open_holds: int
    open_failures: int
    dead_letters: int

    @classmethod
    def of(cls, state: ClinicState, judge: JudgePhase, now: datetime) -> Self:
        """Build it from the state of a clinic at ``now``."""
        return cls(
            slug=state.clinic.slug,
            name=state.clinic.name,
            timezone=state.clinic.timezone,
            is_active=state.clinic.is_active,
            phases={
                phase: PhaseStatus.of(state.phases[phase], judge(state, phase), now)
                for phase in Phase
            },
            credentials=state.credentials,
            session=SessionStatus.of(state.session),
            open_holds=state.open_holds,
            open_failures=state.failures.open_failures,
            dead_letters=state.failures.dead_letters,
        )


class Clock(Model):
    """This host's clock, compared with the database's."""

    is_wrong: bool
    seconds_ahead: int

    @classmethod
    def of(cls, reading: ClockReading) -> Self:
        """Build it from a comparison of the clocks."""
        return cls(is_wrong=reading.is_wrong, seconds_ahead=round(reading.ahead.total_seconds()))


class Statuses(Model):
    """The status of clinics at one time."""

    clinics: list[ClinicStatus]
    clock: Clock
    timestamp: Timestamp

    @classmethod
    def of(
        cls, states: Iterable[ClinicState], judge: JudgePhase, clock: ClockReading, now: datetime
    ) -> Self:
        """Build it from the states of clinics at ``now``, by the database's clock."""
        return cls(
            clinics=[ClinicStatus.of(state, judge, now) for state in states],
            clock=Clock.of(clock),
            timestamp=now,
        )
