"""Which conditions open an alert, and when it ends.

An alert is open for exactly as long as its condition holds, so only the open alerts are stored.
One cause is one alert: a condition that follows from another one opens none of its own. How
alerts are delivered belongs in ``pims_pipeline.alerting``.
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
"""Errors that change the status of the credentials, which has its own alert."""

FAILING_AFTER = 3
"""How many runs of a phase must fail in a row to open an alert."""

SKIPPED_IN_A_ROW = 3
"""How many scheduled ticks of a phase must be skipped in a row to open an alert."""

OVERDUE_GRACE = timedelta(minutes=10)
"""How long a phase may take after its tick to be queued, run and succeed."""


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
    WEBHOOK_DISABLED = "webhook_disabled"


@dataclass(frozen=True, slots=True)
class AlertKey:
    """The identity of an alert: no two open alerts share one.

    Attributes:
        subject: What the alert is about: a phase, the id of a hold or of a record; empty when it
            is about the whole clinic.
    """

    clinic_id: UUID
    kind: AlertKind
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong now.

    Attributes:
        details: Only ids, counts and times; a ``phase`` where it is about one.
        cause: The condition that this one follows from, if any.
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
        """Whether no alert opens or ends."""
        return not (self.to_open or self.to_end)


class ScheduleState(StrEnum):
    """Whether the schedule of a phase runs it."""

    ON = "on"
    OFF = "off"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a finished run ended for a phase of a clinic.

    Attributes:
        succeeded: Whether every window succeeded. A held window counts as a success: the hold
            has its own alert.
        error_class: The name of the error's class, if a window failed with an error.
    """

    run_id: str
    succeeded: bool
    error_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFacts:
    """The state of a phase of a clinic.

    Attributes:
        last_completed_or_held: When its newest sync began that was completed or held; aware.
        due_by: The second tick since then, or since the schedule began to count; aware, None
            when there is no such tick.
        ends: How its newest runs ended, the newest first.
        skipped_in_a_row: Ticks skipped since the phase last ran by schedule, because a run of
            the phase was active or queued.
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
    """A record that is not retried until a person asks for it or the vendor changes it."""

    id: UUID
    phase: Phase
    attempts: int
    error_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisabledWebhook:
    """A webhook to which nothing is sent until a person replays it.

    Attributes:
        last_error: Why the last delivery failed, in a few words.
    """

    id: UUID
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicFacts:
    """The state of an active clinic from which its alerts follow.

    Attributes:
        clock_ahead: How far the host's clock is ahead of the database's, if they are too far
            apart for syncs to start there; negative when it is behind.
    """

    clinic_id: UUID
    phases: Mapping[Phase, PhaseFacts] = field(default_factory=dict)
    credentials_rejected: bool = False
    human_needed: bool = False
    holds: Sequence[WaitingHold] = ()
    dead_letters: Sequence[DeadLetter] = ()
    disabled_webhooks: Sequence[DisabledWebhook] = ()
    clock_ahead: timedelta | None = None


def plan_alerts(conditions: Iterable[Condition], open_alerts: Collection[AlertKey]) -> AlertPlan:
    """Decide which alerts open and which end.

    A condition with a cause opens no alert. An alert that is already open stays open until its
    condition ends.

    Args:
        conditions: All that hold now, of every active clinic. A deactivated clinic has none, so
            its alerts end.
        open_alerts: The alerts that are open now.
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
    cause = _clinic_wide_cause(facts)
    failing: dict[str | None, AlertKey] = {}
    for phase, state in facts.phases.items():
        for condition in _phase_conditions(facts.clinic_id, phase, state, now, cause):
            if condition.key.kind is AlertKind.FAILING and condition.cause is None:
                error = state.ends[0].error_class
                # The same error in several phases has one cause at the vendor.
                first = failing.setdefault(error, condition.key)
                yield condition if first == condition.key else replace(condition, cause=first)
            else:
                yield condition
    yield from _clinic_conditions(facts)
    yield from _webhook_conditions(facts)
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


def _webhook_conditions(facts: ClinicFacts) -> Iterator[Condition]:
    for webhook in facts.disabled_webhooks:
        yield Condition(
            AlertKey(facts.clinic_id, AlertKind.WEBHOOK_DISABLED, str(webhook.id)),
            {"last_error": webhook.last_error},
        )


def _clinic_conditions(facts: ClinicFacts) -> Iterator[Condition]:
    """What prevents every phase of the clinic."""
    if facts.clock_ahead is not None:
        seconds = int(facts.clock_ahead.total_seconds())
        yield Condition(
            AlertKey(facts.clinic_id, AlertKind.WRONG_CLOCK), {"seconds_ahead": seconds}
        )
    if facts.credentials_rejected:
        yield Condition(AlertKey(facts.clinic_id, AlertKind.CREDENTIALS_REJECTED))
    if facts.human_needed:
        yield Condition(AlertKey(facts.clinic_id, AlertKind.HUMAN_NEEDED))


def _clinic_wide_cause(facts: ClinicFacts) -> AlertKey | None:
    """The alert that explains why no phase of the clinic succeeds, if there is one."""
    return next((each.key for each in _clinic_conditions(facts)), None)


def _phase_conditions(
    clinic_id: UUID, phase: Phase, state: PhaseFacts, now: datetime, cause: AlertKey | None
) -> Iterator[Condition]:
    """What is wrong with a phase; nothing if its schedule is off."""

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
        details = {"error_class": newest.error_class} if newest.error_class else {}
        yield condition(AlertKind.FAILING, cause, run_id=newest.run_id, **details)
    skips = state.skipped_in_a_row >= SKIPPED_IN_A_ROW
    if is_overdue(state, now):
        last = state.last_completed_or_held
        details = {"last_completed_or_held": last.isoformat(timespec="seconds")} if last else {}
        failed = AlertKey(clinic_id, AlertKind.FAILING, phase.value) if failing else None
        skipped = AlertKey(clinic_id, AlertKind.TICKS_SKIPPED, phase.value) if skips else None
        yield condition(AlertKind.OVERDUE, cause or failed or skipped, **details)
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
