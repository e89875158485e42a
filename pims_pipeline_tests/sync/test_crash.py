"""A process killed at any statement leaves a state that the next run completes.

Where to kill is found by counting what the engine is given, so that no statement is missed;
each kill reports where it struck.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, product
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext

import pytest
from sqlalchemy import Engine, event

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import create_engine, transaction
from pims_pipeline.store.database.leases import LeaseTerms
from pims_pipeline.store.database.locks import CLINIC_LOCK
from pims_pipeline.store.liveness import run_liveness
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.sync.context import SyncContext
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor
from pims_pipeline_tests.sync.conftest import DAY, NOW, Bench, Clock, local

MOST_STATEMENTS = 200
_EXPIRES_AT_ONCE = LeaseTerms(lasts=0.001, renewed_every=3600)
"""What a killed run leaves need not be waited for; a living one keeps it until others take it."""


def _first_day(vendor: FakeVendor) -> None:
    for number in range(6):
        vendor.book(str(number), local(DAY, 8 + number))
    vendor.record_appointment("0")
    vendor.record_appointment("5")


def _second_day(vendor: FakeVendor) -> None:
    """One edit of each kind: move, deletion, booking, finished appointment, note, rebooking."""
    _first_day(vendor)
    vendor.move("1", local(DAY + timedelta(days=2), 9))
    vendor.delete("2")
    vendor.book("new", local(DAY, 16))
    vendor.record_appointment("3")
    vendor.record_appointment("0", notes="corrected")
    vendor.set_status("0", "Paid")
    vendor.put(replace(vendor.appointments["5"], patient=Patient("200", "Bella")))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kill struck.

    Attributes:
        phase: None when all were done, and the run's lease was given back.
        applying: Whether in the transaction that writes what the phase decided.
        audited: Whether the phase's audit had been committed.
    """

    phase: Phase | None
    applying: bool
    audited: bool


@dataclass
class _Strike:
    """Counts statements and commits, and kills its process before one of them."""

    fatal: int
    report: Pipe
    phase: Phase | None = Phase.INBOUND
    applying: bool = False
    commits: int = 0
    _seen: "count[int]" = field(default_factory=lambda: count(1))

    def begin(self, phase: Phase | None) -> None:
        self.phase, self.commits = phase, 0

    def on_statement(self, *given: object) -> None:
        self._kill_if_due()
        _, _, statement, parameters = given[:4]
        if "pg_advisory_xact_lock" in str(statement) and isinstance(parameters, Mapping):
            self.applying |= parameters["kind"] == CLINIC_LOCK

    def on_commit(self, *_: object) -> None:
        self._kill_if_due()
        self.commits += 1
        self.applying = False

    def _kill_if_due(self) -> None:
        if next(self._seen) == self.fatal:
            self.report.send(Place(self.phase, self.applying, self.commits > 0))
            os.kill(os.getpid(), signal.SIGKILL)


def _full_sync(
    engine: Engine,
    clinic: Clinic,
    vendor: FakeVendor,
    run: int,
    begins: Callable[[Phase | None], None] = lambda _: None,
) -> Bench:
    clock = Clock(NOW + timedelta(hours=run))
    with run_liveness(engine, _EXPIRES_AT_ONCE) as liveness:
        context = SyncContext(
            engine=engine,
            vault=Vault(bytes(32)),
            open_provider=lambda _: FakeProvider(vendor),
            run_id=f"run-{run}",
            liveness=liveness,
            clock=clock,
            login_terms=_EXPIRES_AT_ONCE,
        )
        vendor.clock = clock
        bench = Bench(engine, clinic, vendor, clock, context)
        phases = (bench.inbound, bench.enrich, bench.reconcile)
        for phase, work in zip(Phase, phases, strict=True):
            begins(phase)
            work()
        begins(None)
    return bench


def _sync_until_killed(url: str, clinic: Clinic, fatal: int, report: Pipe) -> None:
    """Runs in a process of its own; kills itself before its n-th statement or commit."""
    engine = create_engine(url)
    strike = _Strike(fatal, report)
    event.listen(engine, "before_cursor_execute", strike.on_statement)
    event.listen(engine, "commit", strike.on_commit)
    vendor = FakeVendor(clinic.zone)
    _second_day(vendor)
    _full_sync(engine, clinic, vendor, 2, strike.begin)


def _outcome(bench: Bench) -> dict[str, object]:
    """What the cases and their stories say, without identities of runs and moments."""
    ours = bench.clinic.id
    return {
        "cases": bench.rows(
            "SELECT pims_id, patient_name, patient_species, scheduled_start, status, "
            "metadata #>> '{consultation,notes}', metadata #>> '{reconciliation,reason}' "
            "FROM cases WHERE clinic_id = :ours ORDER BY pims_id",
            ours=ours,
        ),
        "stories": bench.rows(
            "SELECT c.pims_id, e.kind, count(*) FROM case_events e "
            "JOIN cases c ON c.id = e.case_id WHERE c.clinic_id = :ours "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            ours=ours,
        ),
    }


def _clinic_after_first_day(engine: Engine, name: int) -> Clinic:
    """One more clinic, synced with the first day's calendar."""
    with transaction(engine) as connection:
        clinic = add_clinic(
            connection,
            slug=f"clinic-{name}",
            name="Maple Street Veterinary",
            timezone="America/New_York",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
        vendor = FakeVendor(clinic.zone)
        put_credentials(connection, Vault(bytes(32)), clinic, vendor.credentials.to_mapping())
    _first_day(vendor)
    _full_sync(engine, clinic, vendor, 1)
    return clinic


def _second_run(engine: Engine, clinic: Clinic, run: int) -> Bench:
    vendor = FakeVendor(clinic.zone)
    _second_day(vendor)
    return _full_sync(engine, clinic, vendor, run)


def _killed(forks: ForkServerContext, url: str, clinic: Clinic, fatal: int) -> Place | None:
    """Where a run was killed; None when it ended before the kill."""
    here, there = forks.Pipe(duplex=False)
    with here:
        process = forks.Process(target=_sync_until_killed, args=(url, clinic, fatal, there))
        process.start()
        there.close()
        process.join()
        if process.exitcode == 0:
            return None
        assert process.exitcode == -signal.SIGKILL
        place = here.recv()
        assert isinstance(place, Place)
        return place


def _audits_of(bench: Bench, run_id: str) -> list[tuple[object, object]]:
    rows = bench.rows(
        "SELECT sync_type, status FROM case_sync_audits "
        "WHERE clinic_id = :ours AND run_id = :run_id ORDER BY created_at",
        ours=bench.clinic.id,
        run_id=run_id,
    )
    return [(row.sync_type, row.status) for row in rows]


def _audits_left(place: Place) -> list[tuple[object, object]]:
    """What the audits of a run killed there must read once another has begun each phase."""
    if place.phase is None:
        return [(phase.value, "completed") for phase in Phase]
    before = list(Phase)[: list(Phase).index(place.phase)]
    own = [(place.phase.value, "interrupted")] if place.audited else []
    return [*((phase.value, "completed") for phase in before), *own]


@pytest.mark.parametrize("half", [1, 2])
def test_a_sync_killed_before_any_statement_is_completed_by_the_next(
    engine: Engine, database_url: str, forks: ForkServerContext, half: int
) -> None:
    expected = _outcome(_second_run(engine, _clinic_after_first_day(engine, 0), 3))
    struck: list[Place] = []
    for fatal in range(half, MOST_STATEMENTS, 2):
        clinic = _clinic_after_first_day(engine, fatal)
        place = _killed(forks, database_url, clinic, fatal)
        if place is None:
            break
        struck.append(place)
        bench = _second_run(engine, clinic, 3)
        assert _outcome(bench) == expected, f"killed before statement {fatal}, {place}"
        assert _audits_of(bench, "run-2") == _audits_left(place)
        assert _audits_of(bench, "run-3") == [(phase.value, "completed") for phase in Phase]
    assert len(struck) > 30
    hit = {(place.phase, place.applying) for place in struck}
    assert hit == {*product(Phase, (False, True)), (None, False)}
