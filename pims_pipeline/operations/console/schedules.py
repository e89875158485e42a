"""The pages of schedules: when each clinic is synced, and an administrator's change of one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic
from pims_pipeline.domain.console.decisions import optional_reason
from pims_pipeline.domain.console.operators import OperatorAction, OperatorRole
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import MAX_BATCH, ScheduleConfig
from pims_pipeline.operations.clinics import ConfiguredClinic
from pims_pipeline.operations.console.rights import check_role
from pims_pipeline.operations.console.visible import visible_only
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.scheduling.ticks import next_ticks, timetable
from pims_pipeline.store.clinics import (
    all_clinics,
    clinic_by_slug,
    schedule_config,
    schedule_configs,
    set_schedule_config,
)
from pims_pipeline.store.database.clock import clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.operators.log import note_action

_NEXT = 5
"""How many future ticks of a schedule are shown."""
NUMBERS: Mapping[str, tuple[str, int, int]] = {
    "days_ahead": ("Days after today that a sync covers", 0, DAYS_AHEAD),
    "lookback_days": ("Days before today that a sync covers", 0, 365),
    "parallel_batch_size": ("Consultations fetched in parallel", 1, MAX_BATCH),
}
"""The whole numbers of a schedule by field: what each means, its least and its greatest value."""


class BadSchedule(UserFacingError, ValueError):
    """Something is wrong with an entered schedule; the message names the field."""


class ScheduleChanged(UserFacingError):
    """Another one changed the schedule since the page was opened; nothing was changed."""


@dataclass(frozen=True, slots=True)
class EnteredSchedule:
    """A schedule as it was typed, by field: each phase, and each of ``NUMBERS``."""

    fields: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Names these very values: a form that was shown their times carries it."""
        return hashlib.sha256(json.dumps(sorted(self.fields.items())).encode()).hexdigest()

    @classmethod
    def of(cls, config: ScheduleConfig) -> "EnteredSchedule":
        """A stored schedule, as a person would type it."""
        numbers = asdict(replace(config, sync_schedules={}))
        crons = {phase.value: config.sync_schedules[phase] for phase in Phase}
        return cls({**crons, **{name: str(numbers[name]) for name in NUMBERS}})


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePreview:
    """An entered schedule: its next ticks, and what is wrong with it.

    Attributes:
        entered: What was typed.
        ticks: By phase the next times in UTC; none for ``off`` and for one that is invalid.
        problems: By field.
    """

    entered: EnteredSchedule
    ticks: Mapping[Phase, tuple[datetime, ...]]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePage:
    """A clinic's schedule, stored or entered.

    Attributes:
        stored_digest: Names the stored schedule: a change of another one changes it.
        notice: Why the clinic is not synced at all; None if it is.
    """

    clinic: Clinic
    preview: SchedulePreview
    stored_digest: str
    notice: str | None
    may_change: bool


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A clinic in the list of schedules at ``now``."""

    configured: ConfiguredClinic
    now: datetime

    @property
    def next_ticks(self) -> Mapping[Phase, datetime | None]:
        """The next time of each phase; computed when it is shown, for there may be many clinics."""
        return {phase: self._next(phase) for phase in Phase}

    def _next(self, phase: Phase) -> datetime | None:
        clinic, config = self.configured.clinic, self.configured.config
        if refusal(clinic, ClinicUse.SYNC):
            return None
        try:
            ticks = _ticks(clinic, config.sync_schedules[phase], self.now, 1)
        except ValueError:
            return None
        return ticks[0] if ticks else None


def schedules_page(view: OperatorView) -> list[ScheduleRow]:
    """The schedules of the operator's clinics, by slug."""
    with transaction(view.engine) as connection:
        now = clock_of(connection).database
        stored = schedule_configs(connection)
        return [
            ScheduleRow(ConfiguredClinic(each, stored.get(each.id, ScheduleConfig())), now)
            for each in all_clinics(connection)
        ]


def schedule_page(
    view: OperatorView, slug: str, entered: EnteredSchedule | None = None
) -> SchedulePage:
    """The schedule of a clinic with its next ticks: as entered, or else as stored.

    Raises:
        NotVisible: If there is no such clinic among the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        now = clock_of(connection).database
        stored = EnteredSchedule.of(schedule_config(connection, clinic))
    return SchedulePage(
        clinic=clinic,
        preview=preview_of(clinic, entered or stored, now),
        stored_digest=stored.digest,
        notice=refusal(clinic, ClinicUse.SYNC),
        may_change=view.rights.may(OperatorRole.ADMIN, clinic.id),
    )


def preview_of(clinic: Clinic, entered: EnteredSchedule, now: datetime) -> SchedulePreview:
    """The next ticks of an entered schedule after ``now`` (aware), and what is wrong with it."""
    ticks: dict[Phase, tuple[datetime, ...]] = {}
    problems = {
        name: problem
        for name in NUMBERS
        if (problem := _number_problem(name, entered.fields.get(name, ""))) is not None
    }
    for phase in Phase:
        try:
            ticks[phase] = _ticks(clinic, entered.fields.get(phase.value, ""), now, _NEXT)
        except ValueError as error:
            ticks[phase], problems[phase.value] = (), str(error)
    return SchedulePreview(entered=entered, ticks=ticks, problems=problems)


def change_schedule(
    view: OperatorView, slug: str, entered: EnteredSchedule, *, stored_digest: str, reason: str
) -> None:
    """Store an entered schedule; the same one writes nothing.

    Args:
        view: The operator's.
        slug: The clinic.
        entered: What was typed.
        stored_digest: Of the schedule that the operator saw, see ``SchedulePage``.
        reason: Why, for the log; may be empty.

    Raises:
        BadSchedule: If something is wrong with it, see ``preview_of``.
        BadReason: If the reason is too long.
        NotVisible, NotAllowed: If the operator does not see the clinic, or may not change it.
        ScheduleChanged: If the stored schedule is a third one by now.
    """
    noted = optional_reason(reason)
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        check_role(view, OperatorRole.ADMIN, clinic)
        problems = preview_of(clinic, entered, clock_of(connection).database).problems
        if problems:
            raise BadSchedule("; ".join(f"{name}: {why}" for name, why in problems.items()))
        lock_clinic(connection, clinic.id)
        before = EnteredSchedule.of(schedule_config(connection, clinic))
        # The entered one may be stored already: a button may be clicked twice.
        if before.digest not in {stored_digest, entered.digest}:
            raise ScheduleChanged(
                "Someone changed this schedule after you opened the page. These are the stored "
                "values now; enter yours again."
            )
        changes = _changes(before, entered)
        if changes:
            set_schedule_config(connection, clinic, _config(entered))
            _note_change(connection, view, clinic, changes, noted)


def _changes(before: EnteredSchedule, after: EnteredSchedule) -> dict[str, list[str]]:
    """The fields that differ, with the values before and after."""
    return {
        name: [before.fields[name], value]
        for name, value in after.fields.items()
        if before.fields[name] != value
    }


def _note_change(
    connection: Connection,
    view: OperatorView,
    clinic: Clinic,
    changes: Mapping[str, list[str]],
    reason: str,
) -> None:
    facts = {"by": view.name, "changes": changes, **({"reason": reason} if reason else {})}
    note_action(
        connection,
        view.actor,
        OperatorAction.SCHEDULE_CHANGED,
        clinic_id=clinic.id,
        details=facts,
    )


def _config(entered: EnteredSchedule) -> ScheduleConfig:
    numbers = {name: int(entered.fields[name]) for name in NUMBERS}
    crons = {phase: entered.fields[phase.value] for phase in Phase}
    return ScheduleConfig(sync_schedules=crons, **numbers)


def _number_problem(name: str, text: str) -> str | None:
    _, least, most = NUMBERS[name]
    # isdecimal() alone would take digits of other scripts, and very long numbers.
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if is_number and least <= int(text) <= most:
        return None
    return f"must be a whole number from {least} to {most}"


def _ticks(clinic: Clinic, cron: str, now: datetime, count: int) -> tuple[datetime, ...]:
    """The next ticks in UTC.

    Raises:
        ValueError: If the expression or the clinic's zone cannot be read.
    """
    read = timetable(clinic, cron)
    return () if read is None else tuple(next_ticks(read.cron, read.zone, now, count))
