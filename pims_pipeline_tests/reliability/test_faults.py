"""Every fault of the simulator in every phase: what happened, as docs/reliability.md says it.

``make reliability`` sets ``PIMS_WRITE_FAULT_TABLE`` and writes what it finds into that page.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pytest

from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.port import PimsError
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, FaultKind
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.fault_table import rows_of, write
from pims_pipeline_tests.reliability.test_clinic_life import settle
from pims_pipeline_tests.reliability.world import FULL, HASTY, PATIENT, House, World, simulated

Endpoint = Literal["listing", "appointment", "consultation"]
PLACES: tuple[tuple[Phase, Endpoint], ...] = (
    (Phase.INBOUND, "listing"),
    (Phase.CASES, "consultation"),
    (Phase.RECONCILIATION, "listing"),
    (Phase.RECONCILIATION, "appointment"),
)
TIMES: dict[str, int | None] = {"once": 1, "every time": None}
LONG_WAIT = "rate_limited, to wait 2 minutes"
FAULTS = (*(kind.value for kind in FaultKind), LONG_WAIT)
NOT_THERE = "–"


@dataclass(frozen=True, slots=True)
class Found:
    """What a fault led to."""

    words: str
    deleted_in_error: int
    lost: int


@contextmanager
def _eight_visits(house: House) -> Iterator[World]:
    """All of them synced."""
    world = World.begin(house, simulated("1001"), date(2026, 3, 8))
    world.read_timeout = PATIENT
    for number in range(8):
        world.book(world.local(0, 8 + number))
    world.sync(*FULL)
    yield world
    world.end()


def _an_hour_passes(world: World, phase: Phase) -> None:
    """Three visits are finished, one is deleted, one moves far away, one is new."""
    visits = sorted(world.history)
    for pims_id in visits[:3]:
        world.vendor("finish", pims_id, f"<p>note {pims_id};</p>")
    world.vendor("delete", visits[3])
    world.vendor("move", visits[4], world.local(9, 10))
    world.book(world.local(1, 9))
    if phase is Phase.CASES:
        world.sync(Phase.INBOUND)
    world.step_began = world.house.clock()


def _strike(world: World, fault: str, endpoint: Endpoint, times: int | None) -> None:
    kind = FaultKind.RATE_LIMITED if fault == LONG_WAIT else FaultKind(fault)
    if kind is FaultKind.HANG:
        world.end()
        world.read_timeout = HASTY
    elif kind in STALLS:
        world.end()
        world.request_timeout = HASTY
    world.house.control.add_fault(
        kind.value,
        endpoint=endpoint,
        times=times,
        seconds=0.05,
        retry_after=120 if fault == LONG_WAIT else 0.01,
        appointment_id=sorted(world.history)[5],
    )


def _what_happens(
    world: World, fault: str, phase: Phase, endpoint: Endpoint, times: int | None
) -> Found:
    _an_hour_passes(world, phase)
    before, asked = world.everything(), world.house.control.stats()
    questions = world.questions[endpoint]
    _strike(world, fault, endpoint, times)
    result = world.sync(phase)[phase]
    told = world.house.control.stats()
    renewals = told.logins[world.company.company_id] - asked.logins[world.company.company_id]
    requests = told.requests[endpoint] - asked.requests[endpoint]
    retried = requests > world.questions[endpoint] - questions
    oracle.check(world)
    if isinstance(result, PimsError):
        _nothing_changed(world, before, phase)
    words = _words(result, renewed=renewals > 0, retried=retried)
    wrong = [
        pims_id
        for pims_id, case in world.cases().items()
        if case.retired and world.visits[pims_id].stands
    ]
    settle(world)
    kept = {pims_id for pims_id, case in world.cases().items() if not case.retired}
    lost = {pims_id for pims_id, truth in world.visits.items() if truth.stands} - kept
    return Found(words, len(wrong), len(lost))


def _nothing_changed(world: World, before: Mapping[str, Sequence[object]], phase: Phase) -> None:
    after = world.everything()
    # What could not be fetched is kept as dead letters, so that it is tried again.
    assert {**after, "failures": []} == {**before, "failures": []}
    (audit,) = world.rows(
        "SELECT status, sync_type FROM case_sync_audits WHERE clinic_id = :clinic_id "
        "ORDER BY created_at DESC LIMIT 1"
    )
    assert (audit.status, audit.sync_type) == ("failed", phase.value)


def _words(result: PhaseOutcome | PimsError, *, renewed: bool, retried: bool) -> str:
    words = [*["session renewed"] * renewed, *["retried"] * retried]
    if isinstance(result, PimsError):
        return ", ".join([*words, f"failed cleanly (`{type(result).__name__}`)"])
    counts = result.counts
    fates = {
        "quarantined": counts.quarantined,
        "to be tried again": counts.errored,
        "kept unasked": counts.skipped if result.sync_type is Phase.RECONCILIATION else 0,
        "held": counts.held,
        "enriched": counts.enriched,
        "retired": counts.deleted,
    }
    words += [f"{number} {fate}" for fate, number in fates.items() if number]
    if result.status is AuditStatus.COMPLETED:
        words.append("completed")
    return ", ".join(words)


def _row(house: House, fault: str, times: int | None) -> list[str]:
    cells: list[str] = []
    wrong = lost = 0
    for phase, endpoint in PLACES:
        if fault in RECORD_FAULTS and endpoint != "listing":
            cells.append(NOT_THERE)
            continue
        with _eight_visits(house) as world:
            found = _what_happens(world, fault, phase, endpoint, times)
        cells.append(found.words)
        wrong += found.deleted_in_error
        lost += found.lost
    return [*cells, str(wrong), str(lost)]


@pytest.mark.parametrize("often", TIMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_no_case_and_leads_to_what_the_page_says(
    house: House, fault: str, often: str
) -> None:
    found = _row(house, fault, TIMES[often])
    if "PIMS_WRITE_FAULT_TABLE" in os.environ:
        write(often, {**rows_of(often), f"`{fault}`": found})
    assert found[-2:] == ["0", "0"]
    assert rows_of(often)[f"`{fault}`"] == found


@pytest.mark.parametrize("often", TIMES)
def test_the_page_tells_of_every_fault_and_no_other(often: str) -> None:
    assert list(rows_of(often)) == [f"`{fault}`" for fault in FAULTS]
