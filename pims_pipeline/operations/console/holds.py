"""The pages of holds: what waits, the plan case by case, and an operator's decision.

A page shows what the vendor said last, as it is stored: this process has neither the vendor's
logins nor their key. Looking again is a run (``look_again``), and an approval lists the calendar
again before it retires anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.console.decisions import checked_reason
from pims_pipeline.domain.console.operators import OperatorAction, OperatorRole
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.holds import HoldStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.operations.console.launching import (
    RunStarter,
    StartedSync,
    note_once,
    note_planned,
    planned_run,
    start_planned,
    started_lately,
)
from pims_pipeline.operations.console.rights import check_role
from pims_pipeline.operations.console.visible import visible_only
from pims_pipeline.operations.holds import (
    HoldOverview,
    approvable_hold,
    reject_waiting,
    reopen_rejected,
)
from pims_pipeline.operations.operators.sign_in import OperatorView
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.clock import check_clock, clock_of
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import Hold, hold_by_id, list_holds
from pims_pipeline.store.operators.decisions import Decision, decisions_about
from pims_pipeline.store.operators.log import note_action
from pims_pipeline.store.queries.console.held_cases import (
    HeldCase,
    LandedState,
    held_cases,
    listed_at,
)
from pims_pipeline.store.rejections import rejections_in_force

APPROVAL_PAUSE = timedelta(minutes=1)
"""How long after an approval was started another one is refused: a form may be sent twice."""
_SCOPE = Phase.RECONCILIATION.names.scope
_ASSET = Phase.RECONCILIATION.names.asset


class ApprovalStarted(UserFacingError):
    """The run that approves the hold was started a moment ago."""


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case of a hold: what the plan is, and what the vendor said last.

    Attributes:
        case: None if it no longer exists.
        vendor: What the vendor said last, in words.
        outcome: What became of it by a decision; empty without one.
    """

    id: UUID
    case: HeldCase | None
    vendor: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPage:
    """A hold with its cases and the decisions on it.

    Attributes:
        listed_at: When the last listing of its whole window was requested.
        may_decide: Whether the operator may decide it.
    """

    hold: Hold
    clinic: Clinic
    cases: tuple[PlannedCase, ...]
    decisions: tuple[Decision, ...]
    listed_at: datetime | None
    may_decide: bool

    @property
    def is_open(self) -> bool:
        """Whether it waits for a decision."""
        return self.hold.status is HoldStatus.OPEN


@dataclass(frozen=True, slots=True)
class HoldsPage:
    """The holds of the operator's clinics, newest first, at ``now``."""

    found: HoldOverview
    now: datetime


def holds_page(view: OperatorView, slug: str | None, *, waiting_only: bool) -> HoldsPage:
    """The holds of a clinic, or of all the operator's if ``slug`` is None.

    Raises:
        NotVisible: If there is no such clinic among the operator's.
    """
    with visible_only(), transaction(view.engine) as connection:
        clinic = clinic_by_slug(connection, slug) if slug else None
        found = HoldOverview(
            list_holds(connection, clinic=clinic, waiting_only=waiting_only),
            rejections_in_force(connection, clinic=clinic),
        )
        return HoldsPage(found, clock_of(connection).database)


def hold_page(view: OperatorView, hold_id: UUID) -> HoldPage:
    """A hold, case by case. The look is logged.

    Raises:
        NotVisible: If there is no such hold at the operator's clinics.
    """
    with visible_only(), transaction(view.engine) as connection:
        hold, clinic = _hold(connection, hold_id)
        about = {"hold_id": str(hold_id)}
        note_action(
            connection,
            view.actor,
            OperatorAction.CLINIC_SEEN,
            clinic_id=clinic.id,
            details=about,
        )
        return HoldPage(
            hold=hold,
            clinic=clinic,
            cases=tuple(_planned(hold, held_cases(connection, clinic.id, hold.case_ids))),
            decisions=tuple(decisions_about(connection, clinic.id, about)),
            listed_at=listed_at(connection, clinic.id, hold.window),
            may_decide=view.rights.may(OperatorRole.OPERATOR, clinic.id),
        )


def approve(
    view: OperatorView, hold_id: UUID, *, reason: str, earliest: date, runs: RunStarter
) -> StartedSync:
    """Start the run that approves a hold.

    The run lists the calendar of the hold's dates again. It retires the cases that are still
    missing, and records the approval, in one transaction.

    Raises:
        BadReason: If the reason is empty or too long.
        NotVisible, NotAllowed: If the operator does not see the hold, or may not decide it.
        HoldDecided, HoldUndecidable: If it cannot be approved.
        ApprovalStarted: If another approval of it was started in the last minute.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
        NotStarted: If Dagster did not start the run; nothing else was changed.
    """
    why = checked_reason(reason)
    now = check_clock(view.engine)
    with visible_only(), transaction(view.engine) as connection:
        _check_operator(connection, view, hold_id)
        hold, clinic = approvable_hold(connection, hold_id, earliest=earliest, today=now.date())
        _check_not_started(connection, hold)
        run = planned_run(
            clinic,
            _SCOPE,
            hold.window,
            OperatorAction.HOLD_APPROVED,
            facts={"hold_id": str(hold_id), "reason": why},
            config={_ASSET: {"approve_hold": str(hold_id), "approved_by": view.name}},
        )
        note_planned(connection, view, run)
    return start_planned(view, run, runs)


def reject(view: OperatorView, hold_id: UUID, *, reason: str) -> None:
    """Keep the cases of a hold, for as long as their appointments are missing.

    Raises:
        BadReason: If the reason is empty or too long.
        NotVisible, NotAllowed: If the operator does not see the hold, or may not decide it.
        HoldDecided: If it is decided.
        ClinicDeactivated: If its clinic was deactivated.
        WrongClock: If this host's clock and the database's are too far apart.
    """
    why = checked_reason(reason)
    now = check_clock(view.engine)
    with visible_only(), transaction(view.engine) as connection:
        clinic = _check_operator(connection, view, hold_id)
        reject_waiting(connection, hold_id, decided_by=view.name, now=now)
        _note(
            connection, view, OperatorAction.HOLD_REJECTED, clinic, hold_id=str(hold_id), reason=why
        )


def reopen(view: OperatorView, hold_id: UUID, *, reason: str) -> None:
    """End a rejection: the next reconciliation decides on its cases again.

    Raises:
        BadReason: If the reason is empty or too long.
        NotVisible, NotAllowed: If the operator does not see the hold, or may not decide it.
        NotInForce: If the hold has no rejection in force.
    """
    why = checked_reason(reason)
    with visible_only(), transaction(view.engine) as connection:
        clinic = _check_operator(connection, view, hold_id)
        reopen_rejected(connection, hold_id)
        _note(
            connection, view, OperatorAction.HOLD_REOPENED, clinic, hold_id=str(hold_id), reason=why
        )


def look_again(
    view: OperatorView, hold_id: UUID, *, earliest: date, runs: RunStarter
) -> StartedSync:
    """Start a reconciliation of a hold's dates, which asks the vendor again.

    The hold stays while the finding is the same; another finding supersedes it.

    Raises:
        NotVisible, NotAllowed: If the operator does not see the hold, or may start no sync.
        HoldDecided, HoldUndecidable: If it does not wait, or its dates cannot be synced.
        ClinicDeactivated, NoLoginStored: If its clinic cannot be synced.
        WrongClock: If this host's clock and the database's are too far apart.
        NotStarted: If Dagster did not start the run.
    """
    now = check_clock(view.engine)
    with visible_only(), transaction(view.engine) as connection:
        _check_operator(connection, view, hold_id)
        hold, clinic = approvable_hold(connection, hold_id, earliest=earliest, today=now.date())
        facts = {"hold_id": str(hold_id)}
        run = planned_run(clinic, _SCOPE, hold.window, OperatorAction.SYNC_STARTED, facts=facts)
        repeated = note_once(connection, view, run)
    return repeated or start_planned(view, run, runs)


def _hold(connection: Connection, hold_id: UUID) -> tuple[Hold, Clinic]:
    hold = hold_by_id(connection, hold_id)
    return hold, clinic_by_slug(connection, hold.clinic_slug)


def _check_operator(connection: Connection, view: OperatorView, hold_id: UUID) -> Clinic:
    """The hold's clinic, where the operator may decide."""
    _, clinic = _hold(connection, hold_id)
    check_role(view, OperatorRole.OPERATOR, clinic)
    return clinic


def _note(
    connection: Connection,
    view: OperatorView,
    action: OperatorAction,
    clinic: Clinic,
    **facts: str,
) -> None:
    details = {"by": view.name, **facts}
    note_action(connection, view.actor, action, clinic_id=clinic.id, details=details)


def _check_not_started(connection: Connection, hold: Hold) -> None:
    """Check that no approval of the locked hold was started in the last minute."""
    approval = started_lately(
        connection,
        hold.clinic_id,
        OperatorAction.HOLD_APPROVED,
        about={"hold_id": str(hold.id)},
        within=APPROVAL_PAUSE,
    )
    if approval is not None:
        raise ApprovalStarted(
            f"{approval.details['by']} started an approval of this hold a moment ago; see its "
            "sync under the decisions"
        )


def _planned(hold: Hold, known: list[HeldCase]) -> Iterator[PlannedCase]:
    """Each case of the hold; those that no longer exist come last."""
    for case in known:
        yield PlannedCase(case.id, case, vendor_says(case.landed), _outcome(hold, case.id))
    for case_id in sorted(hold.case_ids - {case.id for case in known}):
        yield PlannedCase(case_id, None, "", _outcome(hold, case_id))


def _outcome(hold: Hold, case_id: UUID) -> str:
    if case_id in hold.retired:
        return "retired"
    if case_id in hold.kept:
        return f"kept: {hold.kept[case_id]}"
    return "stays: its retirement was rejected" if case_id in hold.stay else ""


def vendor_says(landed: LandedState | None) -> str:
    """What the last listings and lookups showed of an appointment, in words without times."""
    if landed is None:
        return "never listed"
    if landed.removed_at is not None:
        return "confirmed to be gone"
    if landed.missing_since is not None:
        return "missing from the calendar"
    if landed.is_left_out:
        return "listed with resources that are not synced"
    return "in the calendar"
