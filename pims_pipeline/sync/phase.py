"""What every phase does around its work: an audit that tells the truth however it ends.

The audit is opened in a transaction of its own, completed in the transaction that applies
the work, and marked failed in another. A process that is killed or told to stop leaves it
``in_progress``; the clinic's next phase marks it ``interrupted``, because its owner's
liveness lock is free.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.errors import Explained
from pims_pipeline.domain.outcome import Counts, PhaseOutcome, SyncType
from pims_pipeline.observability.logging import bound_context, get_logger
from pims_pipeline.store.audits import (
    fail_audit,
    finish_audit,
    interrupt_orphans,
    record_progress,
    start_audit,
)
from pims_pipeline.store.database import lock_clinic, transaction
from pims_pipeline.store.moments import note_repair
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.repair import repair_if_needed

PROGRESS_INTERVAL_S = 0.5
log = get_logger(__name__)


@dataclass(slots=True)
class Phase:
    """One phase over one clinic's window, while it runs."""

    context: SyncContext
    clinic: Clinic
    sync_type: SyncType
    window: DateRange
    audit_id: UUID
    began: float
    _progress_at: float = 0.0

    def now(self) -> datetime:
        """The present moment, aware UTC."""
        return self.context.clock()

    def progress(self, done: int, total: int) -> None:
        """Let others see how far the phase is; at most twice a second."""
        if done not in {0, total} and monotonic() - self._progress_at < PROGRESS_INTERVAL_S:
            return
        self._progress_at = monotonic()
        with transaction(self.context.engine) as connection:
            record_progress(connection, self.audit_id, done, total, self.now())

    @contextmanager
    def applying(self) -> Iterator[Connection]:
        """The one transaction that writes what the phase decided; other writers wait."""
        with transaction(self.context.engine) as connection:
            lock_clinic(connection, self.clinic.id)
            yield connection

    def finish(
        self,
        connection: Connection,
        *,
        by_date: Mapping[date, Counts],
        fetched_at: datetime | None = None,
        **facts: Any,
    ) -> PhaseOutcome:
        """Draw up the receipt and complete the audit in the applying transaction.

        Raises:
            UnbalancedReceipt: If something read is unaccounted for; nothing is written then.
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
            now=self.now(),
        )
        return outcome


@contextmanager
def audited(
    context: SyncContext, clinic: Clinic, sync_type: SyncType, window: DateRange
) -> Iterator[Phase]:
    """Run a phase under an audit, which tells of any error that ends it."""
    began = monotonic()
    with transaction(context.engine) as connection:
        repaired = repair_if_needed(connection, clinic, window, context.clock())
        interrupt_orphans(connection, clinic.id, context.clock())
        audit_id = start_audit(
            connection,
            clinic=clinic,
            sync_type=sync_type,
            window=window,
            run_id=context.run_id,
            owner=context.liveness.owner,
            now=context.clock(),
            wanted_id=context.sync_id.take(),
        )
        if repaired:
            note_repair(connection, audit_id, repaired)
    phase = Phase(context, clinic, sync_type, window, audit_id, began)
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
            _fail(phase, error)
            raise
        log.info("phase_finished")


def _fail(phase: Phase, error: Exception) -> None:
    log.warning("phase_failed", error_class=type(error).__name__)
    with transaction(phase.context.engine) as connection:
        fail_audit(connection, phase.audit_id, _safe_message(error), phase.now())


def _safe_message(error: Exception) -> str:
    """What may be kept of an error; see ``Explained``."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, Explained) else name
