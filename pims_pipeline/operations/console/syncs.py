"""Syncs that operators start: the form, the start, and the progress."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange, business_date, last_syncable_date
from pims_pipeline.domain.console.decisions import optional_reason
from pims_pipeline.domain.console.operators import OperatorAction, OperatorRole
from pims_pipeline.domain.deactivation import ClinicUse, refusal
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.moments import age_of
from pims_pipeline.domain.phases import SCOPES, Scope
from pims_pipeline.operations.clinics import check_syncable
from pims_pipeline.operations.console.launching import (
    RunStarter,
    StartedSync,
    SyncStage,
    note_once,
    planned_run,
    start_planned,
)
from pims_pipeline.operations.console.rights import check_role
from pims_pipeline.operations.console.visible import NotVisible, visible_only
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.audits import Audit, audit_by_id, audits_of_run
from pims_pipeline.store.clinics import clinic_by_slug, schedule_config
from pims_pipeline.store.database.clock import check_clock, clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.operators.decisions import Decision, decisions_about
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline.sync.windows import chosen_window, default_window

WATCH_LIMIT = timedelta(hours=1)
"""How long after its start the page of a sync asks for its progress by itself."""


class BadDates(UserFacingError, ValueError):
    """The dates cannot be synced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncForm:
    """What a sync of a clinic may cover.

    Attributes:
        windows: By scope, the dates that a sync covers by default.
        first: The first date that can be synced.
        last: The last one.
        notice: Why the clinic is not synced; None if it may be.
    """

    clinic: Clinic
    windows: Mapping[Scope, DateRange]
    first: date
    last: date
    notice: str | None
    may_start: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSync:
    """A sync that an operator started, and how far it is.

    Attributes:
        decision: Who started it, and why.
        sync: With the audits so far.
        is_watched: Whether the page should ask again: it has not ended, and a page that was
            left open asks no longer than ``WATCH_LIMIT``.
    """

    clinic: Clinic
    decision: Decision
    sync: StoredSync
    stage: SyncStage
    is_watched: bool


def sync_form(view: OperatorView, slug: str, *, earliest: date) -> SyncForm:
    """The form of a clinic.

    Raises:
        NotVisible: If there is no such clinic among the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        now = clock_of(connection).database
        windows = {scope: _default(connection, clinic, scope, now, earliest) for scope in SCOPES}
        return SyncForm(
            clinic=clinic,
            windows=windows,
            first=earliest,
            last=last_syncable_date(now.date()),
            notice=refusal(clinic, ClinicUse.SYNC),
            may_start=view.rights.may(OperatorRole.OPERATOR, clinic.id),
        )


def start_sync(
    view: OperatorView,
    slug: str,
    scope: Scope,
    dates: tuple[date | None, date | None],
    *,
    reason: str,
    earliest: date,
    runs: RunStarter,
) -> StartedSync:
    """Start a sync of a clinic.

    Args:
        view: The operator's.
        slug: The clinic.
        scope: Which phases.
        dates: The first and the last business date; None for the default.
        reason: Why, for the log; may be empty.
        earliest: The first date that can be synced.
        runs: Starts the run.

    Raises:
        NotVisible, NotAllowed: If the operator does not see the clinic, or may start no sync.
        BadDates: If the dates cannot be synced.
        BadReason: If the reason is too long.
        ClinicDeactivated, NoLoginStored: If the clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
        NotStarted: If Dagster did not start the run.
    """
    why = optional_reason(reason)
    now = check_clock(view.engine)
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        check_role(view, OperatorRole.OPERATOR, clinic)
        check_syncable(connection, clinic)
        default = _default(connection, clinic, scope, now, earliest)
        window = _window(scope, default, dates, earliest, last_syncable_date(now.date()))
        facts = {"reason": why} if why else {}
        run = planned_run(clinic, scope, window, OperatorAction.SYNC_STARTED, facts=facts)
        repeated = note_once(connection, view, run)
    return repeated or start_planned(view, run, runs)


def sync_progress(view: OperatorView, slug: str, sync_id: UUID, *, runs: RunStarter) -> WatchedSync:
    """How far a sync is that an operator started, or whose first audit has that id.

    Raises:
        NotVisible: If there is no such sync at the clinic.
    """
    about = {"sync_id": str(sync_id)}
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        now = clock_of(connection).database
        decisions = decisions_about(connection, clinic.id, about)
        if not decisions:
            raise NotVisible("There is no such sync at this clinic that an operator started.")
        audits = _audits(connection, clinic, sync_id)
    run_id = audits[0].run_id if audits else runs.run_of_sync(sync_id)
    sync = _stored(sync_id, decisions[0], run_id, audits)
    # The last line of the log says that it was not started.
    problem = decisions[-1].details.get("problem")
    if problem is not None and run_id is None:
        stage = SyncStage(status="failed", has_ended=True, error=problem)
    else:
        stage = runs.stage(sync, now)
    is_watched = not stage.has_ended and age_of(sync.created_at, now) < WATCH_LIMIT
    return WatchedSync(
        clinic=clinic, decision=decisions[0], sync=sync, stage=stage, is_watched=is_watched
    )


def _audits(connection: Connection, clinic: Clinic, sync_id: UUID) -> tuple[Audit, ...]:
    """The audits of the run whose first audit has that id; empty before it began."""
    first = audit_by_id(connection, sync_id)
    if first is None:
        return ()
    found = audits_of_run(connection, first.run_id)
    return tuple(each for each in found if each.clinic_id == clinic.id)


def _stored(
    sync_id: UUID, decision: Decision, run_id: str | None, audits: tuple[Audit, ...]
) -> StoredSync:
    details = decision.details
    return StoredSync(
        id=sync_id,
        scope=details["scope"],
        window=DateRange(date.fromisoformat(details["first"]), date.fromisoformat(details["last"])),
        is_request=True,
        run_id=run_id,
        created_at=decision.occurred_at,
        audits=audits,
    )


def _default(
    connection: Connection, clinic: Clinic, scope: Scope, now: datetime, earliest: date
) -> DateRange:
    today = business_date(now, clinic.zone)
    return default_window(scope, today, schedule_config(connection, clinic), earliest=earliest)


def _window(
    scope: Scope,
    default: DateRange,
    dates: tuple[date | None, date | None],
    earliest: date,
    last: date,
) -> DateRange:
    """The dates to sync.

    Raises:
        BadDates: If they cannot be synced.
    """
    if any(day is not None and not earliest <= day <= last for day in dates):
        raise BadDates(f"choose dates from {earliest} to {last}")
    try:
        return chosen_window(scope, default, *dates)
    except ValueError as error:
        raise BadDates(str(error)) from error
