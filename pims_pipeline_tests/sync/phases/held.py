"""A hold, and an operator's decisions on it."""

from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import (
    Hold,
    hold_by_id,
    list_holds,
    reject,
    waiting_hold,
)
from pims_pipeline.sync.phases.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.sync.bench import DAY, WINDOW, Bench, local


def held(bench: Bench, appointments: int = 12, gone: int = 8) -> UUID:
    """A hold of ``gone`` cases whose appointments were deleted."""
    for number in range(appointments):
        bench.vendor.book(str(number), local(DAY, 8 + number // 4, 15 * (number % 4)))
    bench.in_run("run-0").inbound()
    for number in range(gone):
        bench.vendor.delete(str(number))
    outcome = bench.in_run("run-1").reconcile()
    assert outcome.hold_id is not None
    return outcome.hold_id


def approve(bench: Bench, hold_id: UUID, window: DateRange = WINDOW) -> PhaseOutcome:
    with clinic_session(bench.context, bench.clinic) as session:
        return reconcile_cases(
            bench.context, bench.clinic, window, session, approval=Approval(hold_id, "Sam")
        )


def stored_hold(bench: Bench, hold_id: UUID) -> Hold:
    with transaction(bench.engine) as connection:
        return hold_by_id(connection, hold_id)


def gone(bench: Bench) -> list[str]:
    rows = bench.rows(
        "SELECT pims_id FROM cases WHERE metadata #>> '{reconciliation,softDeleted}' = 'true' "
        "ORDER BY pims_id"
    )
    return [str(row.pims_id) for row in rows]


def reject_hold(bench: Bench, hold_id: UUID) -> None:
    with transaction(bench.engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=bench.clock())


def waiting(bench: Bench) -> list[UUID]:
    with transaction(bench.engine) as connection:
        return [each.id for each in list_holds(connection)]
