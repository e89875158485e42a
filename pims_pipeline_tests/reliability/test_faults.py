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

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.outcome import AuditStatus, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.providers.port import PimsError
from pims_pipeline.simulator.faults import RECORD_FAULTS, STALLS, VENDOR_OF, FaultKind, faults_of
from pims_pipeline.simulator.practice.clinics import Vendor
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.calls import LONG_TIMEOUT, SHORT_TIMEOUT
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.fault_table import rows_of, write
from pims_pipeline_tests.reliability.settling import settle
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_VENDOR

Endpoint = Literal["listing", "appointment", "consultation"]
PLACES: tuple[tuple[Phase, Endpoint], ...] = (
    (Phase.INBOUND, "listing"),
    (Phase.CASES, "consultation"),
    (Phase.RECONCILIATION, "listing"),
    (Phase.RECONCILIATION, "appointment"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of faults.

    Attributes:
        vendor: The vendor that has the faults.
        times: How many requests each of them affects; None means every one.
        faults: Its rows.
    """

    vendor: Vendor
    times: int | None
    faults: tuple[str, ...]


LONG_WAIT = "rate_limited, to wait 2 minutes"
NOT_THERE = "–"
OF_PAGES_OR_VETSPIRE = tuple(
    kind
    for kind in faults_of("vetspire")
    if kind in VENDOR_OF or kind in {FaultKind.EMPTY_CALENDAR, FaultKind.DROP_RECORD}
)
TABLES = {
    "once": Table("idexx_neo", 1, (*faults_of("idexx_neo"), LONG_WAIT)),
    "every time": Table("idexx_neo", None, (*faults_of("idexx_neo"), LONG_WAIT)),
    "vetspire once": Table("vetspire", 1, (*faults_of("vetspire"), LONG_WAIT)),
    # What else every vendor has is the same code, and lasts at IDEXX Neo above.
    "vetspire every time": Table("vetspire", None, OF_PAGES_OR_VETSPIRE),
}
"""By their names in the page."""
ROWS = [(name, str(fault)) for name, table in TABLES.items() for fault in table.faults]


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a fault."""

    words: str
    deleted_in_error: int
    lost: int


@contextmanager
def eight_appointments(servers: SharedServers, vendor: Vendor) -> Iterator[SyncedClinic]:
    """A clinic with eight synced appointments."""
    company = EVERY_VENDOR[vendor].simulated("New_York")
    synced = SyncedClinic.begin(servers, company, date(2026, 3, 8))
    synced.read_timeout = LONG_TIMEOUT
    # No appointment is ever on another day.
    synced.wide = DateRange(synced.window.start, date(2026, 3, 17))
    for number in range(8):
        synced.book(synced.local(0, 8 + number))
    synced.sync(*FULL)
    yield synced
    synced.end()


def edit_calendar(synced: SyncedClinic, phase: Phase) -> None:
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


def add_fault(synced: SyncedClinic, fault: str, endpoint: Endpoint, times: int | None) -> None:
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
    edit_calendar(synced, phase)
    before, sent = synced.everything(), synced.servers.control.stats()
    calls = synced.calls[endpoint]
    add_fault(synced, fault, endpoint, times)
    result = synced.sync(phase)[phase]
    after, company = synced.servers.control.stats(), synced.company.company_id
    renewals = after.logins.get(company, 0) - sent.logins.get(company, 0)
    requests = after.requests.get(endpoint, 0) - sent.requests.get(endpoint, 0)
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


def _row(servers: SharedServers, fault: str, table: Table) -> list[str]:
    cells: list[str] = []
    wrong = lost = 0
    for phase, endpoint in PLACES:
        if fault in RECORD_FAULTS and endpoint != "listing":
            cells.append(NOT_THERE)
            continue
        with eight_appointments(servers, table.vendor) as synced:
            found = _result_of(synced, fault, phase, endpoint, table.times)
        cells.append(found.words)
        wrong += found.deleted_in_error
        lost += found.lost
    return [*cells, str(wrong), str(lost)]


@pytest.mark.parametrize(("name", "fault"), ROWS)
def test_a_fault_loses_no_case_and_has_the_documented_result(
    servers: SharedServers, name: str, fault: str
) -> None:
    found = _row(servers, fault, TABLES[name])
    if "PIMS_WRITE_FAULT_TABLE" in os.environ:
        write(name, {**rows_of(name), f"`{fault}`": found})
    assert found[-2:] == ["0", "0"]
    assert rows_of(name)[f"`{fault}`"] == found


@pytest.mark.parametrize("name", TABLES)
def test_the_page_lists_every_fault_and_no_other(name: str) -> None:
    assert list(rows_of(name)) == [f"`{fault}`" for fault in TABLES[name].faults]
