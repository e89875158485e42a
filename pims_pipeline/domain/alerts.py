"""What people are alerted to, and when an alert starts and ends.

An alert is open for exactly as long as its condition holds, so nothing has to be remembered
but which alerts are open. One cause is one alert: a condition that follows from another one
opens none of its own. How alerts are delivered is in ``pims_pipeline.alerting``.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase

LOGIN_ERRORS = frozenset({"AuthenticationRejected", "HumanNeeded"})
"""Errors that change the status of the credentials, which has an alert of its own."""

FAILING_AFTER = 3
"""So many runs of a phase in a row must have failed."""

SKIPPED_IN_A_ROW = 3
"""So many scheduled ticks of a phase in a row must have been skipped."""

OVERDUE_GRACE = timedelta(minutes=10)
"""How long after a tick a phase may take to be queued, run and succeed."""


class AlertKind(StrEnum):
    """What is wrong with a clinic."""

    FAILING = "failing"
    OVERDUE = "overdue"
    CREDENTIALS_REJECTED = "credentials_rejected"
    HUMAN_NEEDED = "human_needed"
    HOLD = "hold"
    DEAD_LETTER = "dead_letter"
    BAD_SCHEDULE = "bad_schedule"
    WRONG_CLOCK = "wrong_clock"
    TICKS_SKIPPED = "ticks_skipped"


@dataclass(frozen=True, slots=True)
class AlertKey:
    """What tells one open alert from another.

    Attributes:
        subject: What of the clinic it is about: a phase, the id of a hold or of a record;
            empty for all of it.
    """

    clinic_id: UUID
    kind: AlertKind
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something wrong that holds now.

    Attributes:
        details: Ids, counts and moments alone; a ``phase`` where it is about one.
        cause: The condition that this one follows from; None when it stands for itself.
    """

    key: AlertKey
    details: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    cause: AlertKey | None = None


@dataclass(frozen=True, slots=True)
class AlertPlan:
    """Alerts to open and to end."""

    to_open: tuple[Condition, ...]
    to_end: tuple[AlertKey, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it should be told."""
        return not (self.to_open or self.to_end)


class ScheduleState(StrEnum):
    """Whether a phase runs by itself."""

    ON = "on"
    OFF = "off"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run that is over left a phase of a clinic.

    Attributes:
        succeeded: Whether every window ended well. One that the deletion guard held did:
            the phase worked, and the hold is an alert of its own.
        error_class: The name of an error's class, where a window failed with one.
    """

    run_id: str
    succeeded: bool
    error_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFacts:
    """How a phase of a clinic stands.

    Attributes:
        last_completed_or_held: When its newest sync began that was completed or held; aware.
        due_by: The second tick since then, or since the schedule began to count; aware, None
            when there will be none.
        ends: How its newest runs ended, the newest first.
        skipped_in_a_row: Ticks skipped since the phase last ran by schedule: a run of it was
            still going or queued, for whatever reason.
    """

    schedule: ScheduleState
    last_completed_or_held: datetime | None = None
    due_by: datetime | None = None
    ends: Sequence[RunEnd] = ()
    skipped_in_a_row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingHold:
    """A window whose deletions wait for a person."""

    id: UUID
    window: DateRange
    cases_active: int
    cases_orphaned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that only a person, or a change at the vendor, can bring to life again."""

    id: UUID
    phase: Phase
    attempts: int
    error_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicFacts:
    """How an active clinic stands, as far as people are alerted to it.

    Attributes:
        clock_ahead: How far the clock of the host that asks is ahead of the database's, where
            they are too far apart for syncs to start there; negative when it is behind.
    """

    clinic_id: UUID
    phases: Mapping[Phase, PhaseFacts] = field(default_factory=dict)
    credentials_rejected: bool = False
    human_needed: bool = False
    holds: Sequence[WaitingHold] = ()
    dead_letters: Sequence[DeadLetter] = ()
    clock_ahead: timedelta | None = None


def plan_alerts(conditions: Iterable[Condition], open_alerts: Collection[AlertKey]) -> AlertPlan:
    """Decide which alerts open and which end.

    A condition with a cause opens no alert, but an alert that is open already stays until its
    condition ends.

    Args:
        conditions: All that hold now, of every active clinic. A clinic that is synced no
            more has none, so its alerts end.
        open_alerts: Those that have been opened and have not ended.
    """
    holding: dict[AlertKey, Condition] = {}
    for condition in conditions:
        holding.setdefault(condition.key, condition)
    return AlertPlan(
        to_open=tuple(
            each for key, each in holding.items() if each.cause is None and key not in open_alerts
        ),
        to_end=tuple(dict.fromkeys(key for key in open_alerts if key not in holding)),
    )


def conditions_of(facts: ClinicFacts, now: datetime) -> Iterator[Condition]:
    """What is wrong with an active clinic at ``now`` (aware)."""
    cause = _trouble_of_all(facts)
    failing: dict[str | None, AlertKey] = {}
    for phase, state in facts.phases.items():
        for condition in _phase_conditions(facts.clinic_id, phase, state, now, cause):
            if condition.key.kind is AlertKind.FAILING and condition.cause is None:
                error = state.ends[0].error_class
                # The same error in several phases is one trouble of the vendor's.
                first = failing.setdefault(error, condition.key)
                yield condition if first == condition.key else replace(condition, cause=first)
            else:
                yield condition
    yield from _conditions_of_all(facts)
    for hold in facts.holds:
        yield Condition(
            AlertKey(facts.clinic_id, AlertKind.HOLD, str(hold.id)),
            {
                "window": str(hold.window),
                "cases_active": hold.cases_active,
                "cases_orphaned": hold.cases_orphaned,
            },
        )
    for letter in facts.dead_letters:
        yield Condition(
            AlertKey(facts.clinic_id, AlertKind.DEAD_LETTER, str(letter.id)),
            {
                "phase": letter.phase.value,
                "attempts": letter.attempts,
                "error_class": letter.error_class,
            },
        )


def _conditions_of_all(facts: ClinicFacts) -> Iterator[Condition]:
    """What keeps all of the clinic from being synced."""
    if facts.clock_ahead is not None:
        seconds = int(facts.clock_ahead.total_seconds())
        yield Condition(
            AlertKey(facts.clinic_id, AlertKind.WRONG_CLOCK), {"seconds_ahead": seconds}
        )
    if facts.credentials_rejected:
        yield Condition(AlertKey(facts.clinic_id, AlertKind.CREDENTIALS_REJECTED))
    if facts.human_needed:
        yield Condition(AlertKey(facts.clinic_id, AlertKind.HUMAN_NEEDED))


def _trouble_of_all(facts: ClinicFacts) -> AlertKey | None:
    """The alert that explains why no phase of the clinic succeeds, if there is one."""
    return next((each.key for each in _conditions_of_all(facts)), None)


def _phase_conditions(
    clinic_id: UUID, phase: Phase, state: PhaseFacts, now: datetime, cause: AlertKey | None
) -> Iterator[Condition]:
    """What is wrong with a phase; one that is off is nobody's concern."""

    def condition(kind: AlertKind, cause: AlertKey | None, **details: str | int) -> Condition:
        key = AlertKey(clinic_id, kind, phase.value)
        return Condition(key, {"phase": phase.value, **details}, cause)

    if state.schedule is ScheduleState.OFF:
        return
    if state.schedule is ScheduleState.MALFORMED:
        yield condition(AlertKind.BAD_SCHEDULE, None)
    failing = is_failing(state.ends) and state.ends[0].error_class not in LOGIN_ERRORS
    if failing:
        newest = state.ends[0]
        told = {"error_class": newest.error_class} if newest.error_class else {}
        yield condition(AlertKind.FAILING, cause, run_id=newest.run_id, **told)
    skips = state.skipped_in_a_row >= SKIPPED_IN_A_ROW
    if is_overdue(state, now):
        last = state.last_completed_or_held
        told = {"last_completed_or_held": last.isoformat(timespec="seconds")} if last else {}
        failed = AlertKey(clinic_id, AlertKind.FAILING, phase.value) if failing else None
        skipped = AlertKey(clinic_id, AlertKind.TICKS_SKIPPED, phase.value) if skips else None
        yield condition(AlertKind.OVERDUE, cause or failed or skipped, **told)
    if skips:
        yield condition(AlertKind.TICKS_SKIPPED, None, ticks=state.skipped_in_a_row)


def is_failing(ends: Sequence[RunEnd]) -> bool:
    """Whether a phase has failed too often in a row; ``ends`` has the newest first."""
    latest = ends[:FAILING_AFTER]
    return len(latest) == FAILING_AFTER and not any(end.succeeded for end in latest)


def is_overdue(state: PhaseFacts, now: datetime) -> bool:
    """Whether a phase is late.

    So it is when two ticks have passed without a sync that was completed or held, and the grace.
    """
    if state.schedule is not ScheduleState.ON or state.due_by is None:
        return False
    return now >= state.due_by + OVERDUE_GRACE
