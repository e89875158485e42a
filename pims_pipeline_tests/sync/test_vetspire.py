"""The three phases at Vetspire: what its traps would cost, and do not."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.providers.port import AuthenticationRejected, PimsError, SessionExpired
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatorConfig
from pims_pipeline.simulator.server import SimulatorServer, running_simulator
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.sync.session import clinic_session
from pims_pipeline_tests.providers.vetspire.clinics import CHICAGO, credentials_of, new_provider
from pims_pipeline_tests.sync.bench import DAY, Bench, local

COMPANY = CHICAGO.company_id
WINDOW = DateRange(DAY, DAY)
OPEN_FAILURES = "SELECT record_key, pims_id FROM sync_failures WHERE resolved_at IS NULL"


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    config = SimulatorConfig(today=DAY, clinics=(CHICAGO,), appointments_per_day=12)
    with running_simulator(config) as running:
        yield running


@pytest.fixture
def control(server: SimulatorServer) -> Iterator[SimulatorControl]:
    with closing(SimulatorControl(server.base_url)) as steering:
        steering.reset()
        yield steering


@pytest.fixture
def synced(bench: Bench, server: SimulatorServer, control: SimulatorControl) -> Bench:
    """A clinic of the simulated Vetspire, synced once."""
    assert control.stats().requests.get("listing", 0) == 0
    with transaction(bench.engine) as connection:
        vault = bench.context.vault
        put_credentials(connection, vault, bench.clinic, credentials_of().to_mapping())
    context = replace(bench.context, open_provider=lambda _: new_provider(server.base_url))
    bench = replace(bench, context=context)
    bench.inbound(WINDOW)
    return bench


def active(bench: Bench) -> set[str]:
    found = bench.rows(
        "SELECT pims_id FROM cases WHERE metadata #> '{reconciliation,softDeleted}' IS NULL"
    )
    return {str(row.pims_id) for row in found}


def appointments(control: SimulatorControl) -> set[str]:
    return {
        each.id
        for each in control.appointments(COMPANY, DAY, DAY)
        if each.kind == "appointment" and not each.deleted
    }


def test_each_appointment_has_a_case_and_each_consultation_reaches_it(
    synced: Bench, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, local(DAY, 9))
    control.finish(COMPANY, booked.id, "<p>Well again.</p>")
    synced.inbound(WINDOW)
    synced.enrich(WINDOW)

    assert active(synced) == appointments(control)
    (row,) = synced.rows(
        "SELECT metadata #>> '{consultation,notes}' AS notes FROM cases WHERE pims_id = :id",
        id=booked.id,
    )
    assert "Well again." in str(row.notes)


def test_what_vetspire_sends_is_kept_as_fields_and_types(
    synced: Bench, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, local(DAY, 9))
    control.finish(COMPANY, booked.id, "<p>Well again.</p>")
    synced.inbound(WINDOW)
    synced.enrich(WINDOW)

    rows = synced.rows("SELECT path, json_type FROM vendor_shapes")
    seen = {f"{row.path} {row.json_type}" for row in rows}
    assert {
        "dictionary.appointmentTypes[].isBlockoff boolean",
        "listing.appointments[].patient.client.email string",
        "consultation.encounter.sections[].data[].value string",
    } <= seen
    assert not any("{*}" in each for each in seen)


def test_finished_appointments_keep_their_cases(synced: Bench, control: SimulatorControl) -> None:
    before = active(synced)
    for identity in before:
        control.finish(COMPANY, identity)
    synced.inbound(WINDOW)
    synced.reconcile(WINDOW)

    assert active(synced) == before


def test_a_deleted_appointment_is_retired_with_the_vendors_evidence(
    synced: Bench, control: SimulatorControl
) -> None:
    gone = min(active(synced))
    control.delete(COMPANY, gone)
    synced.inbound(WINDOW)
    synced.reconcile(WINDOW)

    assert active(synced) == appointments(control)
    (row,) = synced.rows(
        "SELECT metadata #>> '{reconciliation,reason}' AS reason FROM cases WHERE pims_id = :id",
        id=gone,
    )
    assert row.reason == "deleted_by_vendor"


def test_a_damaged_row_retires_nothing_and_proves_no_absence(
    synced: Bench, control: SimulatorControl
) -> None:
    before = active(synced)
    control.add_fault("poisoned_row", appointment_id=min(before), times=None)
    control.add_fault("graphql_errors", endpoint="appointment", times=None)
    synced.inbound(WINDOW)
    synced.reconcile(WINDOW)

    assert active(synced) == before
    assert synced.rows("SELECT 1 FROM pims_appointments WHERE missing_since IS NOT NULL") == []
    (failure,) = synced.rows(
        "SELECT record_key, pims_id FROM sync_failures WHERE resolved_at IS NULL"
    )
    assert (failure.pims_id, "failing at" in str(failure.record_key)) == (None, True)

    control.clear_faults()
    synced.inbound(WINDOW)
    synced.reconcile(WINDOW)
    assert active(synced) == before
    assert synced.rows(OPEN_FAILURES) == []


def status(bench: Bench) -> str:
    (row,) = bench.rows("SELECT status FROM pims_credentials")
    return str(row.status)


def test_a_key_that_is_revoked_in_the_middle_is_not_tried_by_the_next_sync(
    synced: Bench, control: SimulatorControl
) -> None:
    before = active(synced)
    with clinic_session(synced.context, synced.clinic) as session:
        session.request(lambda provider: provider.fetch_appointments(WINDOW))
        control.add_fault("forbidden", times=None)
        with pytest.raises(AuthenticationRejected, match="pims credentials set"):
            session.request(lambda provider: provider.fetch_appointments(WINDOW))
    assert status(synced) == "invalid"

    asked = control.stats().requests
    with pytest.raises(AuthenticationRejected, match="not tried again"):
        synced.inbound(WINDOW)
    assert control.stats().requests == asked
    assert active(synced) == before


def test_a_key_that_may_not_read_the_calendar_stays_valid(
    synced: Bench, control: SimulatorControl
) -> None:
    control.add_fault("forbidden", endpoint="listing", times=None)
    with pytest.raises(SessionExpired, match="ask the vendor to let it read this"):
        synced.inbound(WINDOW)
    assert status(synced) == "valid"


@pytest.mark.parametrize("fault", ["graphql_errors", "partial_data", "not_a_list", "cut_off"])
def test_a_failed_listing_changes_nothing(
    synced: Bench, control: SimulatorControl, fault: str
) -> None:
    before = synced.everything()
    control.add_fault(fault, endpoint="listing", times=None)
    with pytest.raises(PimsError, match="Vetspire"):
        synced.inbound(WINDOW)
    synced.reconcile(WINDOW)

    assert synced.everything() == before
