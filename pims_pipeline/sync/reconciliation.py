"""Phase 3's shell: compare cases with the diary, ask about what is missing, retire orphans.

Nothing is retired on the word of a listing alone; see ``pims_pipeline.domain.reconciliation``
for the rules. The listing is the one that phase 1 landed earlier in the same run, where
that one was whole and readable to the last record; otherwise a fresh one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.case_writes import METADATA, RECONCILIATION, repairs
from pims_pipeline.domain.cases import Case, CaseEvent, CaseStatus, EventKind
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import Explained
from pims_pipeline.domain.inbound import plan_inbound
from pims_pipeline.domain.oddities import combined
from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.reconciliation import (
    ReconciliationPlan,
    Retirement,
    TrackedCase,
    must_hold_unseen,
    orphan_candidates,
    plan_reconciliation,
)
from pims_pipeline.domain.series import recognized
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.store.appointments import (
    mark_missing,
    mark_removed,
    mark_seen,
    stored_snapshot,
)
from pims_pipeline.store.audits import audits_of_run
from pims_pipeline.store.cases import active_cases, load_cases, retire_cases
from pims_pipeline.store.events import record_events
from pims_pipeline.store.holds import (
    Hold,
    approve,
    close_settled_holds,
    end_rejections,
    note_kept,
    open_hold,
    rejections,
    waiting_hold,
)
from pims_pipeline.store.retries import in_transaction
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.fanout import VisitFailure, ask_side_by_side
from pims_pipeline.sync.inbound import apply_snapshot
from pims_pipeline.sync.listing import asked_between, known_of, settled, whole_listing
from pims_pipeline.sync.phase import PhaseRun, audited
from pims_pipeline.sync.session import ProviderSession

LOOKUP_WORKERS = 5
_SEVERAL = 3
"""From how many look-ups on it is the vendor's interface that has changed, if all are odd."""
log = get_logger(__name__)


class WrongWindow(Explained):
    """A hold is to be approved over partitions that are not its own."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's consent to a held plan; ``decided_by`` is who, in their own words."""

    hold_id: UUID
    decided_by: str


def reconcile_cases(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    approval: Approval | None = None,
) -> PhaseOutcome:
    """Retire the window's cases whose visit is gone at the vendor.

    Under an approval the diary is read anew, exactly the held cases that are still missing
    are retired whatever the deletion guard thinks, and the hold records what differed.

    Raises:
        UnknownHold, HoldDecided, WrongWindow: If there is nothing to approve here.
        PimsError: If the diary could not be had whole, or not one missing visit could be
            asked about; nothing is retired then.
    """
    with audited(context, clinic, Phase.RECONCILIATION, window) as phase:
        if approval is not None:
            in_transaction(context.engine, partial(_held_here, phase=phase, approval=approval))
        landed = None if approval else _landed_in_this_run(phase)
        snapshot = landed or settled(
            context, clinic, whole_listing(clinic, window, session, phase.now), session
        )
        tracked = in_transaction(context.engine, partial(_active_cases, phase=phase))
        lookups = _look_up_missing(phase, session, tracked, snapshot, approved=bool(approval))
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
    retired = _retire(connection, phase, plan.retire)
    followed = _follow(connection, phase, plan.follow, lookups or {})
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
        deleted_case_ids=retired,
        hold_id=None if approval else _hold(connection, phase, plan),
        hold_reason=plan.hold.value if plan.hold else None,
        oddities=combined(
            (
                *snapshot.oddities,
                *(odd for each in (lookups or {}).values() for odd in each.oddities),
            )
        ),
        kept_by_hold_id=_keep(connection, phase, plan),
    )


def _active_cases(connection: Connection, phase: PhaseRun) -> list[TrackedCase]:
    """The window's active cases, without moments that a wrong clock wrote."""
    now = phase.now()
    return [each.as_of(now) for each in active_cases(connection, phase.clinic, phase.window)]


def _keep(connection: Connection, phase: PhaseRun, plan: ReconciliationPlan) -> UUID | None:
    """Note which rejected hold keeps missing cases, and which cases need none any more."""
    end_rejections(connection, phase.clinic, plan.ended)
    if plan.kept_by is not None:
        note_kept(connection, phase.audit_id, plan.kept_by)
        log.info("rejection_in_force", hold_id=str(plan.kept_by), kept=len(plan.kept))
    return plan.kept_by


def _landed_in_this_run(phase: PhaseRun) -> Snapshot | None:
    """The diary that phase 1 landed in this run, if it covers the window and hid nothing."""
    return in_transaction(phase.context.engine, partial(_landed_snapshot, phase=phase))


def _landed_snapshot(connection: Connection, phase: PhaseRun) -> Snapshot | None:
    for audit in audits_of_run(connection, phase.context.run_id):
        if (
            audit.clinic_id == phase.clinic.id
            and audit.sync_type is Phase.INBOUND
            and audit.status is AuditStatus.COMPLETED
            and audit.window.covers(phase.window)
            and audit.fetched_at is not None
            and audit.counts.quarantined == 0
        ):
            return stored_snapshot(
                connection, phase.clinic, phase.window, fetched_at=audit.fetched_at
            )
    return None


def _held_here(connection: Connection, phase: PhaseRun, approval: Approval) -> Hold:
    """The hold that is approved, kept from being decided twice.

    Raises:
        UnknownHold, HoldDecided: If it does not wait.
        WrongWindow: If it is of another clinic or window than the one worked on.
    """
    hold = waiting_hold(connection, approval.hold_id)
    if hold.clinic_id != phase.clinic.id or hold.window != phase.window:
        raise WrongWindow(
            f"hold {hold.id} is of {hold.clinic_slug}, {hold.window}, and this run works on "
            f"{phase.clinic.slug}, {phase.window}; select exactly its partitions"
        )
    return hold


def _kept(hold: Hold, tracked: Sequence[TrackedCase], plan: ReconciliationPlan) -> dict[UUID, str]:
    """Why cases of an approved hold were not retired after all."""
    active = {each.case.id: each.case.pims_id for each in tracked}
    followed = {each.appointment_id for each in plan.follow}
    retired = {each.case.id for each in plan.retire}

    def why(case_id: UUID) -> str:
        if case_id not in active:
            return "not active in the window any more"
        if active[case_id] in followed:
            return "its visit moved or changed"
        if case_id in plan.unconfirmed:
            return "the vendor could not be asked about its visit"
        return "its visit stands at the vendor"

    return {case_id: why(case_id) for case_id in hold.case_ids - retired}


def _look_up_missing(
    phase: PhaseRun,
    session: ProviderSession,
    tracked: Sequence[TrackedCase],
    snapshot: Snapshot,
    *,
    approved: bool,
) -> dict[str, AppointmentLookup] | None:
    """What the vendor says of each missing visit; None when it cannot be asked.

    Raises:
        TransientError: If none of them could be asked about.
        ContractViolation: If it answered for none of several as it promises. One or two
            odd responses are those appointments' own: their cases wait.
    """
    candidates = orphan_candidates(tracked, snapshot)
    if not candidates or (not approved and must_hold_unseen(tracked, snapshot)):
        return {}
    if not session.can_look_up:
        return None
    lookups: dict[str, AppointmentLookup] = {}
    failure: VisitFailure | None = None
    phase.progress(0, len(candidates))
    answers = ask_side_by_side(partial(_look_up, phase, session), candidates, LOOKUP_WORKERS)
    for done, (each, answer) in enumerate(answers, start=1):
        if isinstance(answer, AppointmentLookup):
            lookups[each.case.pims_id] = answer
        else:
            failure = answer
        phase.progress(done, len(candidates))
    too_few_to_tell = isinstance(failure, ContractViolation) and len(candidates) < _SEVERAL
    if failure is not None and not lookups and not too_few_to_tell:
        raise failure
    return lookups


def _look_up(phase: PhaseRun, session: ProviderSession, tracked: TrackedCase) -> AppointmentLookup:
    asked_at = phase.now()
    lookup = session.look_up(tracked.case.pims_id)
    return replace(lookup, asked_at=asked_between(asked_at, lookup.asked_at, phase.now()))


def _note_presence(connection: Connection, phase: PhaseRun, snapshot: Snapshot) -> Snapshot:
    """Remember what the listing held and what it lacked; gives it with the known identities.

    What its records say is landed by phase 1, and so is the return of a visit whose case
    was retired: the case and the mark of its visit's removal must go together.
    """
    clinic = phase.clinic
    known = known_of(connection, clinic, snapshot)
    snapshot = recognized(snapshot, known, clinic.zone)
    plan = plan_inbound(
        known,
        snapshot,
        clinic=clinic,
        now=phase.now(),
        words=phase.context.words,
    )
    returning = {each.pims_id for each in plan.case_writes if each.kind is EventKind.RESTORED}
    staying = [pims_id for pims_id in plan.sightings if pims_id not in returning]
    mark_seen(connection, clinic, staying, snapshot.fetched_at)
    mark_missing(connection, clinic, plan.missing, snapshot.fetched_at)
    return snapshot


def _retire(
    connection: Connection, phase: PhaseRun, retirements: Sequence[Retirement]
) -> tuple[UUID, ...]:
    clinic = phase.clinic
    now = phase.now()
    gone = {each.case.pims_id: each.gone_at for each in retirements}
    # Locked, so that the event tells the status as it stood when it was overwritten.
    locked = load_cases(connection, clinic, gone, lock=True) if gone else {}
    retire_cases(connection, clinic, retirements, now)
    mark_removed(connection, clinic, gone)
    record_events(
        connection,
        clinic,
        (
            CaseEvent(
                case_id=each.case.id,
                kind=EventKind.SOFT_DELETED,
                business_date=each.case.scheduled_date,
                changes={
                    **_in_the_way(locked[each.case.pims_id]),
                    "status": (locked[each.case.pims_id].status.value, CaseStatus.REVIEWED.value),
                    "softDeleted": (False, True),
                    "reason": (None, each.reason.value),
                },
                source_digest=None,
                occurred_at=now,
            )
            for each in retirements
        ),
        audit_id=phase.audit_id,
        run_id=phase.context.run_id,
    )
    return tuple(each.case.id for each in retirements)


def _in_the_way(case: Case) -> dict[str, tuple[Any, Any]]:
    """What of the case's metadata has to make way for the mark of its retirement."""
    in_the_way = {METADATA, RECONCILIATION}
    return {place: each for place, each in repairs(case.damage).items() if place in in_the_way}


def _follow(
    connection: Connection,
    phase: PhaseRun,
    appointments: Sequence[PimsAppointment],
    lookups: Mapping[str, AppointmentLookup],
) -> tuple[UUID, ...]:
    """Apply what single look-ups said, as a listing of one record each."""
    changed: list[UUID] = []
    for appointment in appointments:
        day = appointment.business_date
        seen = Snapshot(
            window=DateRange(day, day),
            appointments=(appointment,),
            fetched_at=lookups[appointment.appointment_id].asked_at,
            complete=False,
        )
        known = known_of(connection, phase.clinic, seen)
        plan = apply_snapshot(connection, phase, seen, known)
        changed.extend(write.case_id for write in plan.case_writes)
    return tuple(changed)


def _hold(connection: Connection, phase: PhaseRun, plan: ReconciliationPlan) -> UUID | None:
    """Record that the deletion guard struck, or close holds that this look has settled."""
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
