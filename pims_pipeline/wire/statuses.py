"""How each clinic stands: its phases, its login, and what waits for a person."""

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
from pims_pipeline.store.queries.clinic_status import ClinicState, PhaseState, StoredSession
from pims_pipeline.wire.shape import Model, Moment

JudgePhase = Callable[[ClinicState, Phase], ScheduleStatus]
"""Gives how a phase of a clinic stands by its schedule."""


class LatestAudit(Model):
    """The newest audit of a phase."""

    sync_id: UUID
    status: AuditStatus
    started_at: Moment
    error_class: str | None
    error: str | None

    @classmethod
    def of(cls, audit: Audit) -> Self:
        """An audit as stored."""
        return cls(
            sync_id=audit.id,
            status=audit.status,
            started_at=audit.created_at,
            error_class=audit.error_class,
            error=audit.error_message,
        )


class PhaseStatus(Model):
    """How a phase of a clinic stands."""

    last_success_at: Moment | None
    last_completed_or_held_at: Moment | None
    age_seconds: int | None
    next_due_at: Moment | None
    schedule: Literal["on", "off", "malformed"]
    is_late: bool
    ticks_skipped: int
    latest: LatestAudit | None

    @classmethod
    def of(cls, state: PhaseState, stands: ScheduleStatus, now: datetime) -> Self:
        """A phase at ``now``, and how it stands by its schedule."""
        success = state.last.last_success
        return cls(
            last_success_at=success,
            last_completed_or_held_at=state.last.last_completed_or_held,
            age_seconds=max(0, round((now - success).total_seconds())) if success else None,
            next_due_at=stands.next_due,
            schedule=stands.schedule,
            is_late=stands.is_late,
            ticks_skipped=state.skips.number if state.skips else 0,
            latest=LatestAudit.of(state.latest) if state.latest else None,
        )


class Session(Model):
    """Whether a login can be spared."""

    status: Literal["none", "stored", "expired"]
    expires_at: Moment | None
    last_used_at: Moment | None

    @classmethod
    def of(cls, session: StoredSession) -> Self:
        """A session as stored."""
        return cls(
            status=session.status,
            expires_at=session.expires_at,
            last_used_at=session.last_used_at,
        )


class ClinicStatus(Model):
    """How a clinic stands."""

    slug: str
    name: str
    timezone: str
    is_active: bool
    phases: dict[PhaseName, PhaseStatus]
    credentials: CredentialStatus | None
    session: Session
    open_holds: int
    open_failures: int
    dead_letters: int

    @classmethod
    def of(cls, state: ClinicState, judge: JudgePhase, now: datetime) -> Self:
        """A clinic at ``now``."""
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
            session=Session.of(state.session),
            open_holds=state.open_holds,
            open_failures=state.failures.open_failures,
            dead_letters=state.failures.dead_letters,
        )


class Clock(Model):
    """How this host's clock compares with the database's."""

    is_wrong: bool
    seconds_ahead: int

    @classmethod
    def of(cls, reading: ClockReading) -> Self:
        """A comparison of the two."""
        return cls(is_wrong=reading.is_wrong, seconds_ahead=round(reading.ahead.total_seconds()))


class Statuses(Model):
    """How clinics stand at one moment."""

    clinics: list[ClinicStatus]
    clock: Clock
    timestamp: Moment

    @classmethod
    def of(
        cls, states: Iterable[ClinicState], judge: JudgePhase, clock: ClockReading, now: datetime
    ) -> Self:
        """Clinics at ``now``, by the database's clock."""
        return cls(
            clinics=[ClinicStatus.of(state, judge, now) for state in states],
            clock=Clock.of(clock),
            timestamp=now,
        )
