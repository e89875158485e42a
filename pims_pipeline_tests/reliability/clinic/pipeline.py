"""The pipeline's side: the real adapter and phases, in runs that a test may kill or interleave."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

import httpx2

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials, PimsError, SessionState, TransientError
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.session import ProviderSession, clinic_session
from pims_pipeline_tests.providers.simulated_login import session_without_browser
from pims_pipeline_tests.reliability.clinic.state import FOREVER, ClinicState

LONG_TIMEOUT, SHORT_TIMEOUT = 20.0, 0.25
"""Read timeouts in seconds: for requests that must succeed, and for those that may fail."""
KILLED_LOGIN = LeaseTerms(lasts=2, renewed_every=60)
"""The lease of a killed login delays the next login, in real time: so it is short.

It is not renewed, so that the count of statements does not depend on the machine's speed.
"""
FULL = (Phase.INBOUND, Phase.CASES, Phase.RECONCILIATION)
OnResponse = Callable[[str], None]


class Killed(BaseException):
    """Ends a run as SIGKILL would: what was not committed is lost."""


class BrowserlessNeo(IdexxNeoProvider):
    """The real adapter, which sends the login form over HTTP instead of in a browser."""

    def __init__(self, synced: "PipelineSide") -> None:
        super().__init__(
            synced.clinic,
            ProviderOptions(
                login=LoginOptions(artifacts_dir=synced.servers.artifacts),
                requests=RequestOptions(
                    per_second=100_000,
                    retry_base_delay=0.001,
                    connect_timeout=LONG_TIMEOUT,
                    read_timeout=synced.read_timeout,
                    total_timeout=synced.request_timeout,
                ),
            ),
            clock=synced.servers.host_clock,
        )
        self._synced = synced

    def authenticate(self, credentials: Credentials) -> bool:  # noqa: ARG002 - the login uses the simulator's
        try:
            state = session_without_browser(self._synced.servers.base_url, self._synced.company)
        except (AssertionError, httpx2.TransportError) as error:
            raise TransientError("cannot load the login page; try again later") from error
        # The store expires sessions by the machine's clock, which is not the vendor's.
        self.restore_session(SessionState(state.data, FOREVER))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        self._synced.calls["listing"] += 1
        snapshot = super().fetch_appointments(window)
        self._synced.responded("listing")
        return snapshot

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if appointment.consultation_id is None:
            return None  # without a request
        self._synced.calls["consultation"] += 1
        record = super().fetch_consultation(appointment)
        self._synced.responded("consultation")
        return record

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        self._synced.calls["appointment"] += 1
        found = super().lookup_appointment(appointment_id)
        self._synced.responded("appointment")
        return found


@dataclass
class PipelineSide(ClinicState):
    """Runs of the phases.

    Attributes:
        known_gone: When the oracle last saw each retired case, by appointment.
        landed: By appointment, the index of the latest state that the pipeline stored.
        calls: The adapter's calls by endpoint; each may take several requests.
        responses: The time and endpoint of each call that succeeded.
        on_response: Called with the endpoint after each of these, before the pipeline uses it.
        read_timeout: Of a request to the vendor, in seconds without data.
        request_timeout: Of a whole request to the vendor, in seconds.
    """

    known_gone: dict[str, datetime] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    responses: list[tuple[datetime, str]] = field(default_factory=list)
    on_response: OnResponse | None = None
    read_timeout: float = SHORT_TIMEOUT
    request_timeout: float = LONG_TIMEOUT
    runs: Iterator[int] = field(default_factory=lambda: count(1))
    _session: ProviderSession | None = None

    def context(self, run: int, liveness: Liveness | None = None) -> SyncContext:
        servers = self.servers
        return SyncContext(
            engine=servers.engine,
            vault=servers.vault,
            open_provider=lambda _: BrowserlessNeo(self),
            run_id=f"{self.clinic.slug}-{run}",
            liveness=liveness or servers.liveness,
            clock=servers.host_clock,
            login_terms=KILLED_LOGIN,
        )

    def sync(
        self, *phases: Phase, window: DateRange | None = None, fresh: bool = False
    ) -> dict[Phase, PhaseOutcome | PimsError]:
        """Run the phases in order; none begins after inbound failed.

        ``fresh`` opens a new session with the vendor, as a new process does.
        """
        context = self.context(next(self.runs))
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

    def responded(self, endpoint: str) -> None:
        self.responses.append((self.servers.clock(), endpoint))
        if self.on_response is not None:
            self.on_response(endpoint)

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
        self.on_response = None
        self.end()
        short, self.read_timeout = self.read_timeout, LONG_TIMEOUT
        yield
        self.end()
        self.read_timeout = short
