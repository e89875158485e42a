"""One clinic between a simulated vendor and a real database, and everything that befalls it.

The adapter, the phases, the store and the vendor's HTTP are the real ones; only the browser
is left out of the login. ``SharedServers`` is what many of them share. What must hold is
``oracle``'s business; nothing here asserts anything.
"""

import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import Engine, Row, event, text

from pims_pipeline.domain.clinics import Clinic, DateRange, local_to_utc
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.inbound import status_of_facts
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.cases import CaseStatus
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.providers.options import LoginOptions, ProviderOptions, RequestOptions
from pims_pipeline.providers.port import Credentials, PimsError, SessionState, TransientError
from pims_pipeline.simulator.control_client import SimulatorControl, TrueAppointment
from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, SimulatedClinic
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.database.locks import LockTimeout
from pims_pipeline.store.holds import reject, waiting_hold
from pims_pipeline.store.liveness import Liveness, run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import Approval, reconcile_cases
from pims_pipeline.sync.session import ProviderSession, clinic_session
from pims_pipeline_tests.providers.simulated_login import session_without_browser

FOREVER = datetime(2200, 1, 1, tzinfo=UTC)
PATIENT, HASTY = 20.0, 0.25
"""Read time-outs in seconds: for what must succeed, and for what may as well fail."""
KILLED_LOGIN = LeaseTerms(lasts=2, renewed_every=60)
"""A login that was killed keeps others waiting for as long as its lease lasts, in real time.

It is not renewed, so that statements are counted alike however slow the machine is.
"""
FULL = (Phase.INBOUND, Phase.CASES, Phase.RECONCILIATION)
Meanwhile = Callable[[str], None]


class Killed(BaseException):
    """The process ends here, as if by SIGKILL: whatever was not committed is lost."""


@dataclass
class Clock:
    """Stands still between readings but for a millisecond, so that no two are equal."""

    moment: datetime = datetime(2026, 3, 8, 17, tzinfo=UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self) -> datetime:
        with self._lock:
            self.moment += timedelta(milliseconds=1)
            return self.moment

    def forward(self, by: timedelta) -> None:
        with self._lock:
            self.moment += by


@dataclass
class SharedServers:
    """A database and a simulator, shared by clinics that are synced one after the other.

    Attributes:
        clock: The vendor's, and the true one.
        ahead: How far the clock of the host that syncs is ahead of it.
    """

    engine: Engine
    vault: Vault
    control: SimulatorControl
    base_url: str
    clock: Clock
    liveness: Liveness
    artifacts: Path
    on_statement: Callable[[], None] | None = None
    ahead: timedelta = timedelta()

    def host_clock(self) -> datetime:
        """What the host that syncs takes for the present moment."""
        return self.clock() + self.ahead

    def __post_init__(self) -> None:
        event.listen(self.engine, "before_cursor_execute", self._statement)
        event.listen(self.engine, "commit", self._statement)

    def _statement(self, *_: object) -> None:
        if self.on_statement is not None:
            self.on_statement()


class BrowserlessNeo(IdexxNeoProvider):
    """The real adapter, but for the browser: the login form is sent over HTTP."""

    def __init__(self, synced: "SyncedClinic") -> None:
        super().__init__(
            synced.clinic,
            ProviderOptions(
                login=LoginOptions(artifacts_dir=synced.servers.artifacts),
                requests=RequestOptions(
                    per_second=100_000,
                    retry_base_delay=0.001,
                    connect_timeout=PATIENT,
                    read_timeout=synced.read_timeout,
                    total_timeout=synced.request_timeout,
                ),
            ),
            clock=synced.servers.host_clock,
        )
        self._world = synced

    def authenticate(self, credentials: Credentials) -> bool:  # noqa: ARG002 - the simulator's own
        try:
            state = session_without_browser(self._world.servers.base_url, self._world.company)
        except (AssertionError, httpx2.TransportError) as error:
            raise TransientError("the login page did not come; try again later") from error
        # The vendor's clock is not the machine's, by which the store lets sessions expire.
        self.restore_session(SessionState(state.data, FOREVER))
        return True

    def fetch_appointments(self, window: DateRange) -> Snapshot:
        self._world.questions["listing"] += 1
        snapshot = super().fetch_appointments(window)
        self._world.answered("listing")
        return snapshot

    def fetch_consultation(self, appointment: PimsAppointment) -> PimsConsultation | None:
        if appointment.consultation_id is None:
            return None  # nothing is asked then
        self._world.questions["consultation"] += 1
        record = super().fetch_consultation(appointment)
        self._world.answered("consultation")
        return record

    def lookup_appointment(self, appointment_id: str) -> AppointmentLookup:
        self._world.questions["appointment"] += 1
        found = super().lookup_appointment(appointment_id)
        self._world.answered("appointment")
        return found


@dataclass(frozen=True, slots=True)
class Truth:
    """How an appointment stood at the vendor from ``at`` on."""

    at: datetime
    appointment: TrueAppointment

    @property
    def stands(self) -> bool:
        return not self.appointment.deleted

    @property
    def meaning(self) -> CaseStatus:
        return status_of_facts({"status": self.appointment.status})


@dataclass(frozen=True, slots=True)
class PeoplesEdit:
    """What people set on a case.

    Attributes:
        after_seq: The last event of the case's story at that time.
        meaning: The status that the vendor's words on the case meant at that time.
        since: When the step began in which they did; syncs of it may know less.
        active: Whether the case was not soft-deleted at that time.
    """

    case_id: UUID
    pims_id: str
    column: str
    value: str
    after_seq: int
    meaning: CaseStatus
    since: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class Scribble:
    """Something that the application wrote over what is ours in a case's metadata.

    Attributes:
        after_seq: The last event of the case's story at that time.
        forgets: Which of the story's fields, by their first word, are untrue from then on.
    """

    case_id: UUID
    after_seq: int
    forgets: tuple[str, ...]


SCRIBBLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "null": ("'null'", ("appointment", "consultation")),
    "words": ("'\"x\"'", ("appointment", "consultation")),
    "list": ("'[\"consultation\"]'", ("appointment", "consultation")),
    "appointment": ('metadata || \'{"appointment": "text"}\'', ("appointment",)),
    "consultation": ("metadata || '{\"consultation\": []}'", ("consultation",)),
    "reconciliation": ('metadata || \'{"reconciliation": "x"}\'', ()),
}
"""By name: what the application sets metadata to, and what is lost by it."""
_RETIRED = "coalesce(metadata #>> '{reconciliation,softDeleted}' = 'true', false)"


@dataclass
class SyncedClinic:
    """A clinic, its vendor's calendar with its history, and what people did to its cases.

    Attributes:
        window: The week that is synced; ``wide`` holds every day that appointments ever stand on.
        known_gone: When a retired case was last looked at.
        landed: The latest state of each appointment that the pipeline was found to know.
        questions: How often the adapter was asked for what; each may take several requests.
        answers: When the vendor soundly answered what, and in which run.
        meanwhile: Called after each of the vendor's answers, before it is used.
        read_timeout: In seconds; how long the vendor may be silent.
        request_timeout: In seconds; how long a whole request may take.
        step_began: When the latest thing began to happen that a sync is part of.
    """

    servers: SharedServers
    company: SimulatedClinic
    clinic: Clinic
    today: date
    window: DateRange
    wide: DateRange
    history: dict[str, list[Truth]] = field(default_factory=dict)
    edits: list[PeoplesEdit] = field(default_factory=list)
    rejections: list[tuple[datetime, frozenset[UUID]]] = field(default_factory=list)
    scribbles: list[Scribble] = field(default_factory=list)
    foreign: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    known_gone: dict[str, datetime] = field(default_factory=dict)
    landed: dict[str, int] = field(default_factory=dict)
    questions: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[datetime, str]] = field(default_factory=list)
    meanwhile: Meanwhile | None = None
    read_timeout: float = HASTY
    request_timeout: float = PATIENT
    step_began: datetime = FOREVER
    runs: Iterator[int] = field(default_factory=lambda: count(1))
    _session: ProviderSession | None = None

    @classmethod
    def begin(cls, servers: SharedServers, company: SimulatedClinic, today: date) -> "SyncedClinic":
        """A clinic at noon of ``today``, its calendar empty but for blocks and rosters."""
        servers.on_statement = None
        servers.ahead = timedelta()
        servers.clock.moment = datetime.combine(today, time(12), company.zone).astimezone(UTC)
        servers.control.reset()
        vault = servers.vault
        login = Credentials(company.username, company.password, company.company_id)
        with transaction(servers.engine) as connection:
            clinic = add_clinic(
                connection,
                slug=f"clinic-{secrets.token_hex(8)}",
                name=company.name,
                timezone=company.timezone,
                provider_type="idexx_neo",
                provider_base_url=servers.base_url,
            )
            put_credentials(connection, vault, clinic, login.to_mapping())
        days = timedelta(days=3), timedelta(days=12)
        window, wide = (DateRange(today - reach, today + reach) for reach in days)
        return cls(servers, company, clinic, today, window, wide, step_began=servers.clock())

    def end(self) -> None:
        """Let go of the conversation with the vendor."""
        self.servers.on_statement = None
        if self._session is not None:
            self._session.close()
            self._session = None

    # The vendor's side

    @property
    def appointments(self) -> dict[str, Truth]:
        """Every appointment ever booked, as it stands now."""
        return {pims_id: told[-1] for pims_id, told in self.history.items()}

    def local(self, day: int, hour: int, minute: int = 0) -> datetime:
        """A naive wall-clock time, ``day`` days from the clinic's today."""
        return datetime.combine(self.today + timedelta(days=day), time(hour, minute))

    def book(self, start: datetime, status: str = "not arrived", patient: str = "Juniper") -> str:
        """A new appointment; gives its identity."""
        book = self.servers.control.book
        return self._heard(
            book(self.company.company_id, start, status=status, patient_name=patient)
        )

    def vendor(self, action: str, pims_id: str, *how: Any, **named: Any) -> None:
        """One of the simulator's edits, by its name, of one appointment."""
        edit = getattr(self.servers.control, action)
        self._heard(edit(self.company.company_id, pims_id, *how, **named))

    def species(self, patient_id: str | None) -> str | None:
        """The species of a patient, as the vendor ever knew it."""
        known = (truth.appointment for truths in self.history.values() for truth in truths)
        return next((each.species for each in known if each.patient_id == patient_id), None)

    def _heard(self, appointment: TrueAppointment) -> str:
        self.history.setdefault(appointment.id, []).append(Truth(self.servers.clock(), appointment))
        return appointment.id

    def truths(self, pims_id: str, since: datetime, until: datetime) -> list[Truth]:
        """How the appointment stood at ``since`` and at every change up to ``until``."""
        told = [truth for truth in self.history[pims_id] if truth.at <= until]
        before = [truth for truth in told if truth.at <= since]
        return [*before[-1:], *(truth for truth in told if truth.at > since)]

    def version_of(self, pims_id: str, vendor_updated_at: str) -> int:
        """Which of the appointment's states the vendor changed at that moment, counted from 0."""
        changed = [
            local_to_utc(truth.appointment.last_updated_at, self.clinic.zone).isoformat()
            for truth in self.history[pims_id]
            if truth.appointment.last_updated_at is not None
        ]
        return len(changed) - 1 - changed[::-1].index(vendor_updated_at)

    def answered(self, endpoint: str) -> None:
        self.answers.append((self.servers.clock(), endpoint))
        if self.meanwhile is not None:
            self.meanwhile(endpoint)

    # The pipeline's side

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
        """A run of the phases; without inbound's success no other of them begins.

        ``fresh`` opens a conversation of its own, as a process just started does.
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
        """A run in a process that is killed before its n-th statement or commit.

        Returns:
            Whether it lived so long; otherwise it simply ended.
        """
        seen = count(1)

        def strike() -> None:
            if next(seen) == statement:
                self.servers.on_statement = None
                raise Killed

        try:
            with run_liveness(self.servers.engine) as liveness:
                context = self.context(next(self.runs), liveness)
                with clinic_session(context, self.clinic) as session:
                    self.servers.on_statement = strike
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
            except BaseException as error:  # noqa: BLE001 - a thread's error is told by its starter
                errors.append(error)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def approve(self, hold_id: UUID, window: DateRange) -> PhaseOutcome | PimsError:
        """A person approves a hold."""
        context = self.context(next(self.runs))
        approval = Approval(hold_id, "Sam")
        with clinic_session(context, self.clinic) as session:
            try:
                return reconcile_cases(context, self.clinic, window, session, approval=approval)
            except PimsError as error:
                return error

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """The vendor behaves, and takes the time it needs."""
        self.servers.control.clear_faults()
        self.meanwhile = None
        self.end()
        hasty, self.read_timeout = self.read_timeout, PATIENT
        yield
        self.end()
        self.read_timeout = hasty

    # People's side, and what the database says

    def people_set(self, pims_id: str, column: str, value: str) -> bool:
        """People change ``status`` or ``case_type``; False when a sync has the case locked."""
        statement = (
            f"UPDATE cases SET {column} = :value "  # noqa: S608 - two fixed columns
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id RETURNING id, "
            "(SELECT payload ->> 'status' FROM pims_appointments AS a WHERE a.pims_id = "
            f"cases.pims_id AND a.clinic_id = cases.clinic_id) AS word, {_RETIRED} AS retired, "
            "(SELECT coalesce(max(seq), 0) FROM case_events WHERE case_id = cases.id) AS seq"
        )
        row = self._people(statement, pims_id=pims_id, value=value)
        if row is None:
            return False
        meaning = status_of_facts({"status": row.word})
        self.edits.append(
            PeoplesEdit(
                row.id, pims_id, column, value, row.seq, meaning, self.step_began, not row.retired
            )
        )
        return True

    def people_note(self, pims_id: str, key: str, value: object) -> bool:
        """People keep something of their own in a case's metadata."""
        row = self._people(
            "UPDATE cases SET metadata = metadata || CAST(:note AS jsonb) "
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id "
            "AND jsonb_typeof(metadata) = 'object' RETURNING id",
            pims_id=pims_id,
            note=json.dumps({key: value}),
        )
        if row is None:
            return False
        self.foreign.setdefault(row.id, {})[key] = value
        return True

    def scribbled(self, pims_id: str, how: str) -> bool:
        """The application writes over our part of a live case's metadata."""
        value, forgets = SCRIBBLES[how]
        row = self._people(
            f"UPDATE cases SET metadata = {value} "  # noqa: S608 - fixed expressions
            "WHERE clinic_id = :clinic_id AND pims_id = :pims_id "
            f"AND jsonb_typeof(metadata) = 'object' AND NOT {_RETIRED} RETURNING id, "
            "(SELECT coalesce(max(seq), 0) FROM case_events WHERE case_id = cases.id) AS seq",
            pims_id=pims_id,
        )
        if row is None:
            return False
        self.scribbles.append(Scribble(row.id, row.seq, forgets))
        if "metadata" not in value:
            self.foreign.pop(row.id, None)
        return True

    def _people(self, statement: str, **parameters: object) -> Row[Any] | None:
        striking, self.servers.on_statement = self.servers.on_statement, None
        try:
            with transaction(self.servers.engine, lock_seconds=0.02) as connection:
                given = {"clinic_id": self.clinic.id, **parameters}
                return connection.execute(text(statement), given).one_or_none()
        except LockTimeout:
            return None  # a sync has locked the case, and is waiting for us in this thread
        finally:
            self.servers.on_statement = striking

    def rows(self, statement: str, **parameters: object) -> list[Row[Any]]:
        """What the database says; ``:clinic_id`` is this clinic's."""
        with transaction(self.servers.engine) as connection:
            given = {"clinic_id": self.clinic.id, **parameters}
            return list(connection.execute(text(statement), given).all())

    def cases(self) -> dict[str, Row[Any]]:
        """Every case by its appointment's identity."""
        rows = self.rows(
            f"SELECT *, {_RETIRED} AS retired "  # noqa: S608 - fixed expression
            "FROM cases WHERE clinic_id = :clinic_id ORDER BY id"
        )
        return {str(row.pims_id): row for row in rows}

    def reject(self, hold_id: UUID) -> None:
        """People decide that a hold's cases stay."""
        with transaction(self.servers.engine) as connection:
            hold, now = waiting_hold(connection, hold_id), self.servers.clock()
            reject(connection, hold, decided_by="Sam", now=now)
        self.rejections.append((now, hold.case_ids))

    def kept(self) -> set[str]:
        """The appointments of cases that people decided to keep, and no listing has held since."""
        seen = self.rows(
            "SELECT c.id, c.pims_id, a.last_seen_at FROM cases AS c "
            "JOIN pims_appointments AS a USING (clinic_id, provider_type, pims_id) "
            "WHERE c.clinic_id = :clinic_id"
        )
        return {
            row.pims_id
            for row in seen
            for decided_at, case_ids in self.rejections
            if row.id in case_ids and row.last_seen_at <= decided_at
        }

    def holds(self) -> list[Row[Any]]:
        """The holds that wait, oldest first."""
        return self.rows(
            "SELECT id, window_start, window_end FROM reconciliation_holds "
            "WHERE clinic_id = :clinic_id AND status = 'open' ORDER BY created_at"
        )

    def everything(self) -> dict[str, list[Row[Any]]]:
        """All that a sync may change, but for the times at which appointments were seen."""
        asked = {
            "cases": "SELECT * FROM cases WHERE clinic_id = :clinic_id ORDER BY id",
            "events": "SELECT * FROM case_events WHERE clinic_id = :clinic_id ORDER BY seq",
            "landed": "SELECT pims_id, digest, fetched_at, missing_since, removed_at "
            "FROM pims_appointments WHERE clinic_id = :clinic_id ORDER BY pims_id",
            "holds": "SELECT * FROM reconciliation_holds WHERE clinic_id = :clinic_id ORDER BY id",
            "failures": "SELECT * FROM sync_failures WHERE clinic_id = :clinic_id ORDER BY id",
        }
        return {name: self.rows(statement) for name, statement in asked.items()}


def simulated(company_id: str) -> SimulatedClinic:
    """The simulator's clinic with that company id."""
    (company,) = (each for each in DEFAULT_CLINICS if each.company_id == company_id)
    return company
