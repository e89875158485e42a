"""Holds, and an operator's decisions on them.

The effect of a decision on later syncs belongs in ``domain/planning/rejections.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicUse, check_use
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.operations.clinics import check_syncable
from pims_pipeline.operations.runs import RunResult
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import Hold, hold_by_id, list_holds, reject, waiting_hold
from pims_pipeline.store.queries.case_history import CaseState, case_states
from pims_pipeline.store.rejections import rejections_in_force, reopen
from pims_pipeline.sync.results import sync_result
from pims_pipeline.sync.windows import OutsidePartitions, check_window


class HoldUndecidable(UserFacingError):
    """The hold cannot be decided; nothing was changed."""


class HoldStillWaits(UserFacingError):
    """The run did not approve the hold; nothing was changed."""


class NotInForce(UserFacingError):
    """The hold has no rejection that can be reopened."""


@dataclass(frozen=True, slots=True)
class HoldDetails:
    """A hold, and the present state of its cases.

    Attributes:
        states: By case id, in the order of their appointments; only of cases that exist.
    """

    hold: Hold
    states: Mapping[UUID, CaseState]


@dataclass(frozen=True, slots=True)
class HoldOverview:
    """Holds, newest first, and those whose rejection is in force."""

    holds: list[Hold]
    in_force: list[Hold]


@dataclass(frozen=True, slots=True)
class HoldApproval:
    """An approved hold, and the run that approved it, which may have failed afterwards."""

    details: HoldDetails
    run: RunResult


def hold_overview(engine: Engine, slug: str | None, *, waiting_only: bool) -> HoldOverview:
    """The holds of one clinic, or of all if ``slug`` is None.

    Raises:
        UnknownClinic: If the clinic does not exist.
    """
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug) if slug else None
        return HoldOverview(
            list_holds(connection, clinic=clinic, waiting_only=waiting_only),
            rejections_in_force(connection, clinic=clinic),
        )


def hold_details(engine: Engine, hold_id: UUID) -> HoldDetails:
    """The hold, decided or not.

    Raises:
        UnknownHold: If the hold does not exist.
    """
    with transaction(engine) as connection:
        return _details(connection, hold_id)


def approve_hold(
    engine: Engine,
    hold_id: UUID,
    *,
    earliest: date,
    reconcile: Callable[[Clinic, Hold], RunResult],
) -> HoldApproval:
    """Retire the cases of a hold whose appointments are still missing.

    Args:
        engine: The database of cases.
        hold_id: Which hold.
        earliest: The first date that can be synced.
        reconcile: Reconciles the hold's window with the approval, and waits for the end.

    Raises:
        UnknownHold: If the hold does not exist.
        HoldDecided: If the hold is decided, also by another operator during the run.
        HoldUndecidable: If its window can no longer be synced.
        HoldStillWaits: If the run did not approve it.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
    """
    now = check_clock(engine)
    with transaction(engine) as connection:
        hold, clinic = approvable_hold(connection, hold_id, earliest=earliest, today=now.date())
    run = reconcile(clinic, hold)
    # One transaction writes the approval and completes the audit.
    if [audit.status for audit in run.audits] != [AuditStatus.COMPLETED]:
        _check_waiting(engine, hold_id)
        now = datetime.now(UTC)
        result = sync_result("reconcile", run.audits, hold.window, now=now, error=run.problem)
        raise HoldStillWaits(
            f"hold {hold_id} still waits, and nothing was changed: {result.reason}"
        )
    return HoldApproval(hold_details(engine, hold_id), run)


def reject_hold(engine: Engine, hold_id: UUID, *, decided_by: str) -> HoldDetails:
    """Keep the cases of a hold, for as long as their appointments are missing.

    Raises:
        UnknownHold: If the hold does not exist.
        HoldDecided: If the hold is decided.
        ClinicDeactivated: If its clinic was deactivated.
        WrongClock: If this host's clock and the database's are too far apart.
    """
    now = check_clock(engine)
    with transaction(engine) as connection:
        reject_waiting(connection, hold_id, decided_by=decided_by, now=now)
        return _details(connection, hold_id)


def approvable_hold(
    connection: Connection, hold_id: UUID, *, earliest: date, today: date
) -> tuple[Hold, Clinic]:
    """The hold, locked, and its clinic, if a run can approve it now; ``today`` is UTC's.

    Raises:
        UnknownHold, HoldDecided, HoldUndecidable: See ``approve_hold``.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
    """
    hold, clinic = _waiting(connection, hold_id)
    check_syncable(connection, clinic)
    try:
        check_window(earliest, hold.window, today)
    except OutsidePartitions as error:
        raise HoldUndecidable(str(error)) from error
    return hold, clinic


def reject_waiting(
    connection: Connection, hold_id: UUID, *, decided_by: str, now: datetime
) -> Hold:
    """Reject a hold within a transaction; return it as it was. See ``reject_hold``."""
    hold, _ = _waiting(connection, hold_id)
    reject(connection, hold, decided_by=decided_by, now=now)
    return hold


def reopen_hold(engine: Engine, hold_id: UUID) -> HoldDetails:
    """End a rejection, so that the next reconciliation decides on its cases again.

    Raises:
        UnknownHold: If the hold does not exist.
        NotInForce: If the hold has no rejection in force.
    """
    with transaction(engine) as connection:
        reopen_rejected(connection, hold_id)
        return _details(connection, hold_id)


def reopen_rejected(connection: Connection, hold_id: UUID) -> None:
    """End a rejection within a transaction. See ``reopen_hold``."""
    hold = hold_by_id(connection, hold_id, lock=True)
    if not hold.is_in_force:
        raise NotInForce(
            f"hold {hold_id} is {hold.status} and has no rejection in force; nothing was "
            "changed; `pims holds list` shows the rejections in force"
        )
    reopen(connection, hold)


def _details(connection: Connection, hold_id: UUID) -> HoldDetails:
    hold = hold_by_id(connection, hold_id)
    return HoldDetails(hold, case_states(connection, hold.case_ids))


def _waiting(connection: Connection, hold_id: UUID) -> tuple[Hold, Clinic]:
    """The open hold, locked, and its active clinic."""
    hold = waiting_hold(connection, hold_id)
    clinic = clinic_by_slug(connection, hold.clinic_slug)
    check_use(clinic, ClinicUse.DECIDE_HOLD)
    return hold, clinic


def _check_waiting(engine: Engine, hold_id: UUID) -> None:
    """Check that the hold was not decided during the run."""
    with transaction(engine) as connection:
        waiting_hold(connection, hold_id)
