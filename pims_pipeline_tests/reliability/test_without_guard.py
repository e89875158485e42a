"""With the deletion guard switched off, what a listing proves and the look-ups must be enough.

Nothing then limits how many cases are retired at once, so a wrong listing that was believed would
retire them all.
"""

from datetime import timedelta

import pytest

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.simulator.faults import RECORD_FAULTS, FaultKind
from pims_pipeline.simulator.practice.clinics import Vendor
from pims_pipeline_tests.reliability import oracle
from pims_pipeline_tests.reliability.clinic.pipeline import FULL
from pims_pipeline_tests.reliability.clinic.servers import SharedServers
from pims_pipeline_tests.reliability.synced_clinic import SyncedClinic
from pims_pipeline_tests.reliability.test_faults import (
    add_fault,
    edit_calendar,
    eight_appointments,
)
from pims_pipeline_tests.reliability.vendors.every_vendor import EVERY_VENDOR

NO_GUARD = DeletionPolicy(min_orphans=1_000_000, max_percent=100, absence_interval=timedelta())
WRONG_LISTINGS = RECORD_FAULTS | {
    FaultKind.CUT_OFF,
    FaultKind.TRUNCATED_JSON,
    FaultKind.HTML,
    FaultKind.NOT_A_LIST,
    FaultKind.FORBIDDEN,
    FaultKind.GRAPHQL_ERRORS,
    FaultKind.PARTIAL_DATA,
}
ROWS = [
    (vendor, kind)
    for vendor, at in EVERY_VENDOR.items()
    for kind in at.faults
    if kind in WRONG_LISTINGS
]


def wrongly_retired(synced: SyncedClinic) -> list[str]:
    return [
        pims_id
        for pims_id, case in synced.cases().items()
        if case.retired and synced.appointments[pims_id].exists
    ]


@pytest.mark.parametrize(("vendor", "kind"), ROWS)
def test_a_wrong_listing_retires_nothing_that_exists_although_no_guard_limits_it(
    servers: SharedServers, vendor: Vendor, kind: FaultKind
) -> None:
    with eight_appointments(servers, vendor) as synced:
        synced.deletion_policy = NO_GUARD
        edit_calendar(synced, Phase.RECONCILIATION)
        add_fault(synced, kind, "listing", None)
        for _ in range(2):
            synced.sync(*FULL)
            synced.sync(Phase.RECONCILIATION)
            oracle.check(synced)
        assert wrongly_retired(synced) == []


def test_every_appointment_that_moves_between_two_pages_keeps_its_case(
    servers: SharedServers,
) -> None:
    """They leave the days that are still to be read for one that was read already."""
    with eight_appointments(servers, "vetspire") as synced:
        synced.deletion_policy = NO_GUARD
        left = [3]

        def on_page() -> None:
            left[0] -= 1
            if left[0] == 0:
                for number, pims_id in enumerate(list(synced.history)):
                    synced.vendor("move", pims_id, synced.local(-2, 8 + number))

        synced.on_page = on_page
        outcome = synced.sync(Phase.RECONCILIATION)[Phase.RECONCILIATION]
        synced.on_page = None

        assert left[0] < 0
        assert not isinstance(outcome, Exception), outcome
        oracle.check(synced)
        assert not any(case.retired for case in synced.cases().values())
