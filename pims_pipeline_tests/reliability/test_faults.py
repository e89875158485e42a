"""Every fault of the simulator in every phase has the result that docs/reliability.md states.

``make reliability`` sets ``PIMS_WRITE_FAULT_TABLE`` and writes the results into that page.
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
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, FaultKind, faults_of
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL, LONG_TIMEOUT, SHORT_TIMEOUT
from pims_pipeline_tests.reliability.clinic.servers import SharedServers, simulated
from pims_pipeline_tests.reliability.fault_table import rows_of, write
from pims_pipeline_tests.reliability.settling import settle
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic

Endpoint = Literal["listing", "appointment", "consultation"]
PLACES: tuple[tuple[Phase, Endpoint], ...] = (
    (Phase.INBOUND, "listing"),
    (Phase.CASES, "consultation"),
    (Phase.RECONCILIATION, "listing"),
    (Phase.RECONCILIATION, "appointment"),
)
TIMES: dict[str, int | None] = {"once": 1, "every time": None}
LONG_WAIT = "rate_limited, to wait 2 minutes"
FAULTS = (*(kind.value for kind in faults_of("idexx_neo")), LONG_WAIT)
NOT_THERE = "–"


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a fault."""

    words: str
    deleted_in_error: int
    lost: int


@contextmanager
def _eight_appointments(servers: SharedServers) -> Iterator[SyncedClinic]:
    """A clinic with eight synced appointments."""
    synced = SyncedClinic.begin(servers, simulated("1001"), date(2026, 3, 8))
    synced.read_timeout = LONG_TIMEOUT
    for number in range(8):
        synced.book(synced.local(0, 8 + number))
    synced.sync(*FULL)
    yield synced
    synced.end()


def _edit_calendar(synced: SyncedClinic, phase: Phase) -> None:
    """Finish three appointments, delete one, move one out of the window, book one."""
    appointments = sorted(synced.history)
    for pims_id in appointments[:3]:
        synced.vendor("finish", pims_id, f"<p>note {pims_id};</p>")
    synced.vendor("delete", appointments[3])
    synced.vendor("move", appointments[4], synced.local(9, 10))
    synced.book(synced.local(1, 9))
    if phase is Phase.CASES:
        synced.sync(Phase.INBOUND)
    synced.step_began = synced.servers.clock()


def _add_fault(synced: SyncedClinic, fault: str, endpoint: Endpoint, times: int | None) -> None:
    kind = FaultKind.RATE_LIMITED if fault == LONG_WAIT else FaultKind(fault)
    if kind is FaultKind.HANG:
        synced.end()
        synced.read_timeout = SHORT_TIMEOUT
    elif kind in STALLS:
        synced.end()
        synced.request_timeout = SHORT_TIMEOUT
    synced.servers.control.add_fault(
        kind.value,
        endpoint=endpoint,
        times=times,
        seconds=0.05,
        retry_after=120 if fault == LONG_WAIT else 0.01,
        appointment_id=sorted(synced.history)[5],
    )


def _result_of(
    synced: SyncedClinic, fault: str, phase: Phase, endpoint: Endpoint, times: int | None
) -> Found:
    _edit_calendar(synced, phase)
    before, sent = synced.everything(), synced.servers.control.stats()
    calls = synced.calls[endpoint]
    _add_fault(synced, fault, endpoint, times)
    result = synced.sync(phase)[phase]
    after, company = synced.servers.control.stats(), synced.company.company_id
    renewals = after.logins[company] - sent.logins[company]
    requests = after.requests[endpoint] - sent.requests[endpoint]
    retried = requests > synced.calls[endpoint] - calls
    oracle.check(synced)
    if isinstance(result, PimsError):
        _nothing_changed(synced, before, phase)
    words = _words(result, renewed=renewals > 0, retried=retried)
    wrong = [
        pims_id
        for pims_id, case in synced.cases().items()
        if case.retired and synced.appointments[pims_id].exists
    ]
    settle(synced)
    kept = {pims_id for pims_id, case in synced.cases().items() if not case.retired}
    lost = {pims_id for pims_id, truth in synced.appointments.items() if truth.exists} - kept
    return Found(words, len(wrong), len(lost))


def _nothing_changed(
    synced: SyncedClinic, before: Mapping[str, Sequence[object]], phase: Phase
) -> None:
    after = synced.everything()
    # Open failures may be added, from which what was not fetched is retried.
    assert {**after, "failures": []} == {**before, "failures": []}
    (audit,) = synced.rows(
        "SELECT status, sync_type FROM case_sync_audits WHERE clinic_id = %(clinic_id)s "
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


def _row(servers: SharedServers, fault: str, times: int | None) -> list[str]:
    cells: list[str] = []
    wrong = lost = 0
    for phase, endpoint in PLACES:
        if fault in RECORD_FAULTS and endpoint != "listing":
            cells.append(NOT_THERE)
            continue
        with _eight_appointments(servers) as synced:
            found = _result_of(synced, fault, phase, endpoint, times)
        cells.append(found.words)
        wrong += found.deleted_in_error
        lost += found.lost
    return [*cells, str(wrong), str(lost)]


@pytest.mark.parametrize("often", TIMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_loses_no_case_and_has_the_documented_result(
    servers: SharedServers, fault: str, often: str
) -> None:
    found = _row(servers, fault, TIMES[often])
    if "PIMS_WRITE_FAULT_TABLE" in os.environ:
        write(often, {**rows_of(often), f"`{fault}`": found})
    assert found[-2:] == ["0", "0"]
    assert rows_of(often)[f"`{fault}`"] == found


@pytest.mark.parametrize("often", TIMES)
def test_the_page_lists_every_fault_and_no_other(often: str) -> None:
    assert list(rows_of(often)) == [f"`{fault}`" for fault in FAULTS]
