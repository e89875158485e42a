"""A process killed at any statement leaves a state that the next run completes.

The kills are placed by counting statements and commits, so that none is missed; each kill reports
its place.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, product
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext

import pytest
from sqlalchemy import Engine, event

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.store.database.engine import create_engine
from pims_pipeline.store.database.locks import CLINIC_LOCK
from pims_pipeline_tests.providers.fake import FakeVendor
from pims_pipeline_tests.sync.bench import Bench
from pims_pipeline_tests.sync.faults.two_days import (
    clinic_after_first_day,
    full_sync,
    outcome_of,
    second_day,
    sync_second_day,
)

MOST_STATEMENTS = 200


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a kill.

    Attributes:
        phase: None if all phases were done and the lease was released.
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


def _serve_kills(url: str, orders: Pipe) -> None:
    """In a process of its own: fork a run for each order, which kills itself.

    The runs inherit what a sync before them has imported and compiled.
    """
    engine = create_engine(url)
    sync_second_day(engine, clinic_after_first_day(engine, "warm"), 3)
    engine.dispose()
    while (order := orders.recv()) is not None:
        child = os.fork()
        if child == 0:
            clinic, fatal = order
            _sync_until_killed(engine, clinic, fatal, orders)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        orders.send(os.waitstatus_to_exitcode(status))


def _sync_until_killed(engine: Engine, clinic: Clinic, fatal: int, report: Pipe) -> None:
    """Kills its process before its n-th statement or commit."""
    strike = _Strike(fatal, report)
    event.listen(engine, "before_cursor_execute", strike.on_statement)
    event.listen(engine, "commit", strike.on_commit)
    vendor = FakeVendor(clinic.zone)
    second_day(vendor)
    full_sync(engine, clinic, vendor, 2, strike.begin)


@pytest.fixture
def kills(forks: ForkServerContext, database_url: str) -> Iterator[Pipe]:
    """The process that forks the runs to be killed."""
    here, there = forks.Pipe()
    process = forks.Process(target=_serve_kills, args=(database_url, there))
    process.start()
    there.close()
    with here:
        yield here
        here.send(None)
        process.join()
    assert process.exitcode == 0


def _killed(kills: Pipe, clinic: Clinic, fatal: int) -> Place | None:
    """Where a run was killed; None when it ended before the kill."""
    kills.send((clinic, fatal))
    place = kills.recv()
    if place == 0:
        return None
    assert isinstance(place, Place)
    assert kills.recv() == -signal.SIGKILL
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
    """The expected audits of a run killed there, after another run has begun each phase."""
    if place.phase is None:
        return [(phase.value, "completed") for phase in Phase]
    before = list(Phase)[: list(Phase).index(place.phase)]
    own = [(place.phase.value, "interrupted")] if place.audited else []
    return [*((phase.value, "completed") for phase in before), *own]


@pytest.mark.parametrize("half", [1, 2])
def test_a_sync_killed_before_any_statement_is_completed_by_the_next(
    engine: Engine, kills: Pipe, half: int
) -> None:
    expected = outcome_of(sync_second_day(engine, clinic_after_first_day(engine, 0), 3))
    struck: list[Place] = []
    for fatal in range(half, MOST_STATEMENTS, 2):
        clinic = clinic_after_first_day(engine, fatal)
        place = _killed(kills, clinic, fatal)
        if place is None:
            break
        struck.append(place)
        bench = sync_second_day(engine, clinic, 3)
        assert outcome_of(bench) == expected, f"killed before statement {fatal}, {place}"
        assert _audits_of(bench, "run-2") == _audits_left(place)
        assert _audits_of(bench, "run-3") == [(phase.value, "completed") for phase in Phase]
    assert len(struck) > 30
    assert expected["outbox"] == expected["histories"]
    hit = {(place.phase, place.applying) for place in struck}
    assert hit == {*product(Phase, (False, True)), (None, False)}
