"""Phase 3: compare cases with the calendar, look up missing appointments, retire orphans.

The listing is the one that phase 1 landed in the same run, if every record of it was readable;
otherwise a fresh one. ``domain/planning/reconciliation.py`` decides which cases are retired;
``lookups`` and ``retirement`` ask the vendor and write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.inbound import plan_inbound
from pims_pipeline.domain.planning.reconciliation import (
    ReconciliationPlan,
    plan_reconciliation,
)
from pims_pipeline.domain.planning.retirement import TrackedCase
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.domain.records.series import recognized
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.store.appointments import (
    mark_missing,
    mark_seen,
    stored_snapshot,
)
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.cases.reading import active_cases
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.holds import Hold, approve, close_settled_holds, open_hold, waiting_hold
from pims_pipeline.store.rejections import end_rejections, note_kept, rejections
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import PhaseRun, audited
from pims_pipeline.sync.phases.listing import complete_listing, known_of, settled
from pims_pipeline.sync.phases.lookups import look_up_missing
from pims_pipeline.sync.phases.retirement import follow, retire
from pims_pipeline.sync.session import ProviderSession

log = get_logger(__name__)


class WrongWindow(UserFacingError):
    """The partitions of the run differ from those of the hold to approve."""


@dataclass(frozen=True, slots=True)
class Approval:
    """An operator's approval of a hold; ``decided_by`` is the name that the operator gave."""

    hold_id: UUID
    decided_by: str


def reconcile_cases(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    approval: Approval | None = None,
    audit_id: UUID | None = None,
) -> PhaseOutcome:
    """Retire the window's cases whose appointment does not exist any more at the vendor.

    With an approval, the calendar is listed again. Exactly the held cases that are still missing
    are retired, regardless of the deletion guard, and the hold records which were not.

    Args:
        context: The run's store, vault and rules.
        clinic: The clinic of the cases.
        window: The business dates of the cases.
        session: The session at the vendor.
        approval: An operator's approval of a hold.
        audit_id: See ``audited``.

    Raises:
        UnknownHold, HoldDecided, WrongWindow: If the hold cannot be approved.
        PimsError: If the calendar could not be listed completely, or every lookup of a missing
            appointment failed; nothing is retired then.
    """
    with audited(context, clinic, Phase.RECONCILIATION, window, audit_id=audit_id) as phase:
        if approval is not None:
            in_transaction(context.engine, partial(_held_here, phase=phase, approval=approval))
        landed = None if approval else _landed_in_this_run(phase)
        snapshot = landed or settled(
            context, clinic, complete_listing(clinic, window, session, phase.now), session
        )
        tracked = in_transaction(context.engine, partial(_active_cases, phase=phase))
        lookups = look_up_missing(phase, session, tracked, snapshot, approved=bool(approval))
        return phase.apply(
            partial(_apply, phase=phase, snapshot=snapshot, lookups=lookups, approval=approval)
        )


def _apply(
    connection: Connection,
    phase: PhaseRun,
    snapshot: Snapshot,
    lookups: Mapping[str, AppointmentLookup] | None,
    approval: Approval | None,
) -> PhaseOutcome:
    hold = _held_here(connection, phase, approval) if approval else None
    snapshot = _note_presence(connection, phase, snapshot)
    now = phase.now()
    tracked = _active_cases(connection, phase)
    plan = plan_reconciliation(
        tracked,
        snapshot,
        phase.context.deletion_policy,
        lookups=lookups,
        approved=hold.case_ids if hold else None,
        rejections=rejections(connection, phase.clinic),
        now=now,
    )
    retired = retire(connection, phase, plan.retire)
    followed = follow(connection, phase, plan.follow, lookups or {})
    if approval and hold:
        approve(
            connection,
            hold,
            decided_by=approval.decided_by,
            retired=retired,
            kept=_kept(hold, tracked, plan),
            now=phase.now(),
        )
    return phase.finish(
        connection,
        by_date=plan.by_date,
        fetched_at=snapshot.fetched_at,
        changed_case_ids=(*retired, *followed),
        deleted_case_ids=tuple(each.case.id for each in plan.retire if not each.is_left_out),
        hold_id=None if approval else _hold(connection, phase, plan),
        hold_reason=plan.hold.value if plan.hold else None,
        oddities=combined(
            (
                *snapshot.oddities,
                *(odd for each in (lookups or {}).values() for odd in each.oddities),
            )
        ),
        shapes=(
            *snapshot.shapes,
            *(shape for each in (lookups or {}).values() for shape in each.shapes),
        ),
        kept_by_hold_id=_keep(connection, phase, plan),
    )


def _active_cases(connection: Connection, phase: PhaseRun) -> list[TrackedCase]:
    """The window's active cases, without times that a wrong clock wrote."""
    now = phase.now()
    return [each.as_of(now) for each in active_cases(connection, phase.clinic, phase.window)]


def _keep(connection: Connection, phase: PhaseRun, plan: ReconciliationPlan) -> UUID | None:
    """Record which rejected hold keeps orphans, and for which cases a rejection ends."""
    end_rejections(connection, phase.clinic, plan.ended)
    if plan.kept_by is not None:
        note_kept(connection, phase.audit_id, plan.kept_by)
        log.info("rejection_in_force", hold_id=str(plan.kept_by), kept=len(plan.kept))
    return plan.kept_by


def _landed_in_this_run(phase: PhaseRun) -> Snapshot | None:
    """The calendar that phase 1 landed in this run, if it covers the window without quarantine."""
    return in_transaction(phase.context.engine, partial(_landed_snapshot, phase=phase))


def _landed_snapshot(connection: Connection, phase: PhaseRun) -> Snapshot | None:
    for audit in audits_of_run(connection, phase.context.run_id):
        if (
            audit.clinic_id == phase.clinic.id
            and audit.sync_type is Phase.INBOUND
            and audit.status is AuditStatus.COMPLETED
            and audit.window.covers(phase.window)
            and audit.fetched_at is not None
            and audit.changed_since is None
            and audit.counts.quarantined == 0
        ):
            return stored_snapshot(
                connection, phase.clinic, phase.window, fetched_at=audit.fetched_at
            )
    return None


def _held_here(connection: Connection, phase: PhaseRun, approval: Approval) -> Hold:
    """The hold to approve, locked so that it is decided only once.

    Raises:
        UnknownHold, HoldDecided: If the hold does not exist or is decided.
        WrongWindow: If its clinic or window differs from the run's.
    """
    hold = waiting_hold(connection, approval.hold_id)
    if hold.clinic_id != phase.clinic.id or hold.window != phase.window:
        raise WrongWindow(
            f"hold {hold.id} is of {hold.clinic_slug}, {hold.window}, and this run works on "
            f"{phase.clinic.slug}, {phase.window}; select exactly its partitions"
        )
    return hold


def _kept(hold: Hold, tracked: Sequence[TrackedCase], plan: ReconciliationPlan) -> dict[UUID, str]:
    """Why each case of an approved hold that was not retired is kept."""
    active = {each.case.id: each.case.pims_id for each in tracked}
    followed = {each.appointment_id for each in plan.follow}
    retired = {each.case.id for each in plan.retire}

    def why(case_id: UUID) -> str:
        if case_id not in active:
            return "not active in the window any more"
        if active[case_id] in followed:
            return "its appointment moved or changed"
        if case_id in plan.unconfirmed:
            return "its appointment could not be looked up"
        return "its appointment is at the vendor"

    return {case_id: why(case_id) for case_id in hold.case_ids - retired}


def _note_presence(connection: Connection, phase: PhaseRun, snapshot: Snapshot) -> Snapshot:
    """Mark what the listing holds and lacks; return it with the known identities.

    Phase 1 lands the records. It also restores the case of an appointment that is back, because
    the case and the mark of the appointment's removal must change together.
    """
    clinic = phase.clinic
    known = known_of(connection, clinic, snapshot)
    snapshot = recognized(snapshot, known, clinic.zone)
    # Nothing that is used of the plan depends on what words mean.
    plan = plan_inbound(known, snapshot, clinic=clinic, now=phase.now())
    returning = {each.pims_id for each in plan.case_writes if each.kind is EventKind.RESTORED}
    staying = [pims_id for pims_id in plan.sightings if pims_id not in returning]
    mark_seen(connection, clinic, staying, snapshot.fetched_at)
    mark_missing(connection, clinic, plan.missing, snapshot.fetched_at)
    return snapshot


def _hold(connection: Connection, phase: PhaseRun, plan: ReconciliationPlan) -> UUID | None:
    """Open the plan's hold and return its id, or close the settled holds."""
    if plan.hold is None:
        close_settled_holds(connection, phase.clinic, phase.window, phase.now())
        return None
    log.warning(
        "deletions_held",
        clinic=phase.clinic.slug,
        window=str(phase.window),
        reason=plan.hold.value,
        orphans=len(plan.orphans),
        active=plan.active,
    )
    return open_hold(connection, phase.clinic, phase.window, plan, phase.now())
