"""The audit of a phase, which is correct however the phase ends.

One transaction opens the audit, the transaction that applies the work completes it, and another
marks it failed, or interrupted when the run was stopped. A killed process leaves it
``in_progress``; after its lease expires, the clinic's next phase marks it ``interrupted``, and the
former process writes nothing if it continues. The work of a phase belongs in its own module.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.outcome import AuditStatus, Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.shapes import FieldShape, combined, named
from pims_pipeline.domain.records.words import Words
from pims_pipeline.observability.logging import bound_context, get_logger
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.stop_signal import RunStopped
from pims_pipeline.store.audits import (
    audit_status,
    fail_audit,
    finish_audit,
    interrupt_audit,
    record_progress,
    start_audit,
)
from pims_pipeline.store.database.cancelling import past_cancel
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.errors import PoolExhausted
from pims_pipeline.store.database.leases import check_run_lease, lease_lost
from pims_pipeline.store.database.locks import LockTimeout, lock_clinic
from pims_pipeline.store.database.retries import in_transaction, passes
from pims_pipeline.store.liveness import interrupt_orphans
from pims_pipeline.store.moments import note_repair
from pims_pipeline.store.shapes.writing import add_shapes
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.repair import repair_if_needed
from pims_pipeline.sync.words import words_of

PROGRESS_INTERVAL_S = 0.5
Ended = TypeVar("Ended")
log = get_logger(__name__)


@dataclass(slots=True)
class PhaseRun:
    """One phase over one clinic's window, while it runs."""

    context: SyncContext
    clinic: Clinic
    sync_type: Phase
    window: DateRange
    audit_id: UUID
    began: float
    _progress_at: float = 0.0

    def words(self, connection: Connection) -> Words:
        """What words mean at the clinic, as every later writer of its cases sees it."""
        return words_of(connection, self.clinic, self.context.vendor_words)

    def now(self) -> datetime:
        """The present time, aware UTC."""
        return self.context.clock()

    def progress(self, done: int, total: int) -> None:
        """Record the progress of the phase, at most twice a second."""
        if done not in {0, total} and monotonic() - self._progress_at < PROGRESS_INTERVAL_S:
            return
        self._progress_at = monotonic()
        try:
            with transaction(self.context.engine) as connection:
                record_progress(connection, self.audit_id, done, total, self.now())
        except Exception as error:
            if not (passes(error) or isinstance(error, LockTimeout | PoolExhausted)):
                raise
            # The phase does not need it; if the error persists, the next step raises.
            log.warning("progress_not_recorded", error_class=type(error).__name__)

    def apply(self, work: Callable[[Connection], Ended]) -> Ended:
        """Run the one transaction that writes what the phase decided; other writers wait.

        Args:
            work: Plans from fresh rows, writes, and ends the audit. It is called again if the
                database ends the transaction: see ``in_transaction``.

        Raises:
            LeaseLost: If the audit was marked as interrupted; nothing is written then.
        """
        before: list[Ended] = []

        def attempt(connection: Connection) -> Ended:
            lock_clinic(connection, self.clinic.id)
            status = audit_status(connection, self.audit_id)
            if status is AuditStatus.INTERRUPTED:
                raise lease_lost()
            if before and status is not AuditStatus.IN_PROGRESS:
                # The connection was lost during the commit, but the commit succeeded.
                return before[-1]
            before.append(work(connection))
            return before[-1]

        return in_transaction(self.context.engine, attempt)

    def preview(self, work: Callable[[Connection], Ended]) -> Ended:
        """The result of ``work`` in a transaction that is rolled back; other writers wait.

        Args:
            work: Called again if the database ends the transaction.
        """

        def attempt(connection: Connection) -> Ended:
            lock_clinic(connection, self.clinic.id)
            seen = work(connection)
            connection.rollback()
            return seen

        return in_transaction(self.context.engine, attempt)

    def fail(self, connection: Connection, error: Exception) -> None:
        """Mark the audit as failed in the applying transaction; the caller raises the error."""
        if isinstance(error, ContractViolation):
            self._add_shapes(connection, error.shapes)
        fail_audit(
            connection,
            self.audit_id,
            _safe_message(error),
            self.now(),
            error_class=type(error).__name__,
        )

    def finish(
        self,
        connection: Connection,
        *,
        by_date: Mapping[date, Counts],
        fetched_at: datetime | None = None,
        shapes: Iterable[FieldShape] = (),
        **facts: Any,
    ) -> PhaseOutcome:
        """Make the receipt and complete the audit in the applying transaction.

        Args:
            connection: The transaction's.
            by_date: The counts of each date.
            fetched_at: See ``finish_audit``.
            shapes: What the vendor sent.
            facts: Of ``PhaseOutcome``.

        Raises:
            UnbalancedReceipt: If a record is unaccounted for; nothing is written then.
        """
        outcome = PhaseOutcome(
            sync_type=self.sync_type,
            window=self.window,
            audit_id=self.audit_id,
            by_date={day: by_date.get(day, Counts()) for day in {*self.window, *by_date}},
            duration_ms=round((monotonic() - self.began) * 1000),
            **facts,
        )
        finish_audit(
            connection,
            self.audit_id,
            status=outcome.status,
            counts=outcome.counts,
            fetched_at=fetched_at,
            oddities=outcome.oddities,
            changed_since=outcome.changed_since,
            now=self.now(),
        )
        self._add_shapes(connection, shapes)
        return outcome

    def _add_shapes(self, connection: Connection, shapes: Iterable[FieldShape]) -> None:
        add_shapes(connection, self.clinic, named(combined(shapes)), self.now())


@contextmanager
def audited(
    context: SyncContext,
    clinic: Clinic,
    sync_type: Phase,
    window: DateRange,
    *,
    audit_id: UUID | None = None,
) -> Iterator[PhaseRun]:
    """Run a phase under an audit, which records any error that ends it.

    Args:
        context: The run's context.
        clinic: The clinic.
        sync_type: The phase.
        window: The business dates.
        audit_id: The audit's id, if a client knows it already; random if None or if another audit
            has it. See ``start_audit``.
    """
    began = monotonic()
    # Chosen once, so that a retry of the transaction starts no second audit.
    wanted_id = audit_id or uuid4()
    audit_id = in_transaction(
        context.engine,
        partial(
            _start,
            context=context,
            clinic=clinic,
            sync_type=sync_type,
            window=window,
            wanted_id=wanted_id,
        ),
    )
    phase = PhaseRun(context, clinic, sync_type, window, audit_id, began)
    with bound_context(
        clinic=clinic.slug,
        phase=sync_type.value,
        window=str(window),
        run_id=context.run_id,
        sync_id=str(audit_id),
    ):
        log.info("phase_started")
        try:
            yield phase
        except Exception as error:
            if context.stop.is_stopped:
                # A stop cancels running statements, which can raise any error.
                _interrupt(phase)
                raise RunStopped from error
            _fail(phase, error)
            raise
        except RunStopped:
            _interrupt(phase)
            raise
        log.info("phase_finished")


def _start(
    connection: Connection,
    *,
    context: SyncContext,
    clinic: Clinic,
    sync_type: Phase,
    window: DateRange,
    wanted_id: UUID,
) -> UUID:
    """Start the audit, after the clinic's state was made right: future times, abandoned audits."""
    owner = context.liveness.owner
    check_run_lease(connection, owner)
    repaired = repair_if_needed(connection, clinic, window, context.clock())
    interrupt_orphans(connection, clinic.id, context.clock(), but=owner)
    audit_id = start_audit(
        connection,
        clinic=clinic,
        sync_type=sync_type,
        window=window,
        run_id=context.run_id,
        owner=owner,
        now=context.clock(),
        wanted_id=wanted_id,
    )
    if repaired:
        note_repair(connection, audit_id, repaired)
    return audit_id


def _fail(phase: PhaseRun, error: Exception) -> None:
    log.warning("phase_failed", error_class=type(error).__name__)
    in_transaction(phase.context.engine, lambda connection: phase.fail(connection, error))


def _interrupt(phase: PhaseRun) -> None:
    log.warning("phase_stopped")
    # The stop cancels running statements, and may cancel this one.
    past_cancel(lambda: _mark_interrupted(phase))


def _mark_interrupted(phase: PhaseRun) -> None:
    with transaction(phase.context.engine) as connection:
        interrupt_audit(
            connection,
            phase.audit_id,
            "it was stopped; the next sync does what was left",
            phase.now(),
        )


def _safe_message(error: Exception) -> str:
    """The part of an error that may be stored; see ``UserFacingError``."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, UserFacingError) else name
