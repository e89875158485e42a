"""The pipeline's side: the real adapter and phases, in runs that a test may kill or interleave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.providers.port import PimsError
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.session import ProviderSession, clinic_session
from pims_pipeline_tests.reliability.clinic.adapters import opened
from pims_pipeline_tests.reliability.clinic.calls import LONG_TIMEOUT, CallsSide

KILLED_LOGIN = LeaseTerms(lasts=2, renewed_every=60)
"""The lease of a killed login delays the next login, in real time: so it is short.

It is not renewed, so that the count of statements does not depend on the machine's speed.
"""
HOUR = timedelta(hours=1)
FULL = (Phase.INBOUND, Phase.CASES, Phase.RECONCILIATION)


class Killed(BaseException):
    """Ends a run as SIGKILL would: what was not committed is lost."""


@dataclass
class PipelineSide(CallsSide):
    """Runs of the phases.

    Attributes:
        known_gone: When the oracle last saw each retired case, by appointment.
        landed: By appointment, the index of the latest state that the pipeline stored.
        deletion_policy: The deletion guard.
    """

    known_gone: dict[str, datetime] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)
    deletion_policy: DeletionPolicy = field(default_factory=DeletionPolicy)
    runs: Iterator[int] = field(default_factory=lambda: count(1))
    _session: ProviderSession | None = None

    def context(
        self, run: int, liveness: Liveness | None = None, *, scheduled: bool = False
    ) -> SyncContext:
        servers = self.servers
        return SyncContext(
            engine=servers.engine,
            vault=servers.vault,
            open_provider=lambda _: opened(self),
            run_id=f"{self.clinic.slug}-{run}",
            liveness=liveness or servers.liveness,
            clock=servers.host_clock,
            deletion_policy=self.deletion_policy,
            login_terms=KILLED_LOGIN,
            whole_listing_age=HOUR if scheduled else None,
        )

    def sync(
        self,
        *phases: Phase,
        window: DateRange | None = None,
        fresh: bool = False,
        scheduled: bool = False,
    ) -> dict[Phase, PhaseOutcome | PimsError]:
        """Run the phases in order; none begins after inbound failed.

        ``fresh`` opens a new session with the vendor, as a new process does. ``scheduled`` lets
        inbound fetch changes alone.
        """
        context = self.context(next(self.runs), scheduled=scheduled)
        if fresh:
            with clinic_session(context, self.clinic) as session:
                return self._run(context, session, phases, window or self.window)
        if self._session is None:
            self._session = ProviderSession(context, self.clinic)
        return self._run(context, self._session, phases, window or self.window)

    def _run(
        self,
        context: SyncContext,
        session: ProviderSession,
        phases: tuple[Phase, ...],
        window: DateRange,
    ) -> dict[Phase, PhaseOutcome | PimsError]:
        results: dict[Phase, PhaseOutcome | PimsError] = {}
        for phase in phases:
            if isinstance(results.get(Phase.INBOUND), PimsError):
                break
            try:
                results[phase] = self._phase(context, session, phase, window)
            except PimsError as error:
                results[phase] = error
        return results

    def _phase(
        self, context: SyncContext, session: ProviderSession, phase: Phase, window: DateRange
    ) -> PhaseOutcome:
        if phase is Phase.INBOUND:
            return sync_appointments(context, self.clinic, window, session)
        if phase is Phase.CASES:
            return enrich_cases(context, self.clinic, window, session, workers=1)
        return reconcile_cases(context, self.clinic, window, session)

    def killed_sync(self, *phases: Phase, statement: int) -> bool:
        """A run that is killed before its n-th statement or commit.

        Returns:
            Whether it was killed; False if it ended before.
        """
        seen = count(1)

        def on_statement() -> None:
            if next(seen) == statement:
                self.servers.on_statement = None
                raise Killed

        try:
            with run_liveness(self.servers.engine) as liveness:
                context = self.context(next(self.runs), liveness)
                with clinic_session(context, self.clinic) as session:
                    self.servers.on_statement = on_statement
                    self._run(context, session, phases, self.window)
        except Killed:
            return True
        finally:
            self.servers.on_statement = None
        return False

    def two_syncs_at_once(self) -> None:
        """Two processes' full syncs, in threads."""
        errors: list[BaseException] = []

        def one() -> None:
            try:
                self.sync(*FULL, fresh=True)
            except BaseException as error:  # noqa: BLE001 - the starting thread raises it
                errors.append(error)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def approve(self, hold_id: UUID, window: DateRange) -> PhaseOutcome | PimsError:
        """An operator approves a hold, with the reconciliation that follows."""
        context = self.context(next(self.runs))
        approval = Approval(hold_id, "Sam")
        with clinic_session(context, self.clinic) as session:
            try:
                return reconcile_cases(context, self.clinic, window, session, approval=approval)
            except PimsError as error:
                return error

    def end(self) -> None:
        """Close the session with the vendor."""
        self.servers.on_statement = None
        if self._session is not None:
            self._session.close()
            self._session = None

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Without faults, and with a timeout that no sound request exceeds."""
        self.servers.control.clear_faults()
        self.on_response = self.on_page = None
        self.end()
        short, self.read_timeout = self.read_timeout, LONG_TIMEOUT
        yield
        self.end()
        self.read_timeout = short
