"""The listing from end to end: each trap of the vendor's calendar."""

from contextlib import closing
from datetime import timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import Proof, RecordKind
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.providers.vetspire.words import WORDS
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline.simulator.server import SimulatorServer
from pims_pipeline_tests.providers.vetspire.clinics import (
    AUCKLAND,
    CATS,
    CHICAGO,
    DAY,
    TODAY,
    OpenVetspire,
    at,
    by_identity,
    listed,
    provider_at,
)

COMPANY = CHICAGO.company_id
WEEK = DateRange(DAY - timedelta(days=3), DAY + timedelta(days=3))


@pytest.mark.parametrize("clinic", [CHICAGO, CATS, AUCKLAND])
def test_the_calendar_is_the_clinics_own_in_its_own_time(
    vetspire: SimulatorServer, control: SimulatorControl, clinic: SimulatedClinic
) -> None:
    truth = {
        each.id: each
        for each in control.appointments(clinic.company_id, WEEK.start, WEEK.end)
        if each.kind != "roster"
    }
    with closing(provider_at(vetspire.base_url, clinic)) as provider:
        snapshot = provider.fetch_appointments(WEEK)

    assert snapshot.proof is Proof.PAGES_AGREE
    assert snapshot.quarantined == ()
    found = by_identity(snapshot)
    assert found.keys() == truth.keys()
    for identity, each in found.items():
        real = truth[identity]
        assert each.scheduled_start.astimezone(clinic.zone).replace(tzinfo=None) == real.start
        assert each.scheduled_end.astimezone(clinic.zone).replace(tzinfo=None) == real.end
        assert (each.kind is RecordKind.BLOCK) == (real.kind == "block")
        assert (each.patient.id, each.provider is None) == (real.patient_id, real.provider is None)


def test_a_day_is_one_request(provider: VetspireProvider, control: SimulatorControl) -> None:
    provider.fetch_appointments(WEEK)

    # And one more behind the fullest day, which proves that no page was cut short.
    assert control.stats().requests["listing"] == 8


def test_finished_appointments_are_listed(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9))
    control.finish(COMPANY, booked.id)

    found = listed(provider)[booked.id]

    assert WORDS.status_of(found.status) == "completed"
    assert found.consultation_id is not None


def test_a_deleted_appointment_is_not_listed(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9))
    control.delete(COMPANY, booked.id)

    assert booked.id not in listed(provider)


def test_a_day_with_more_rows_than_a_page_is_listed_whole(
    crowded_vetspire: SimulatorServer, open_vetspire: OpenVetspire
) -> None:
    with closing(SimulatorControl(crowded_vetspire.base_url)) as control:
        control.reset()
        truth = {e.id for e in control.appointments(COMPANY, DAY, DAY) if e.kind != "roster"}
        snapshot = open_vetspire(crowded_vetspire.base_url).fetch_appointments(TODAY)

        assert snapshot.complete
        assert by_identity(snapshot).keys() == truth
        assert control.stats().requests["listing"] == 4


@pytest.mark.parametrize("action", ["book", "delete", "move"])
def test_an_edit_between_two_pages_loses_no_appointment(
    crowded_vetspire: SimulatorServer, open_vetspire: OpenVetspire, action: str
) -> None:
    with closing(SimulatorControl(crowded_vetspire.base_url)) as control:
        control.reset()
        records = [e for e in control.appointments(COMPANY, DAY, DAY) if e.kind != "roster"]
        first = min(records, key=lambda each: (each.start, each.id))
        control.edit_after_page(
            COMPANY,
            action,  # type: ignore[arg-type] # one of its actions
            appointment_id=None if action == "book" else first.id,
            start=None if action == "delete" else at(0, 1) if action == "book" else at(23, 55),
        )
        snapshot = open_vetspire(crowded_vetspire.base_url).fetch_appointments(TODAY)
        control.reset()

    assert snapshot.complete
    gone = {first.id} if action == "delete" else set()
    assert {each.id for each in records} - gone <= by_identity(snapshot).keys()
    assert len(snapshot.appointments) == len(records) + (action == "book") - len(gone)


def test_a_row_of_another_location_never_reaches_the_clinic(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    before = listed(provider)
    control.add_fault("other_location", times=None)

    snapshot = provider.fetch_appointments(TODAY)

    assert by_identity(snapshot) == before
    assert snapshot.quarantined == ()
    assert [each.path for each in snapshot.oddities] == ["listing.location.id"]


def test_a_damaged_row_costs_no_other_appointment(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    neighbour, damaged = control.book(COMPANY, at(9)), control.book(COMPANY, at(9))
    before = listed(provider)
    control.add_fault("poisoned_row", appointment_id=damaged.id, times=None)

    snapshot = provider.fetch_appointments(TODAY)

    assert by_identity(snapshot).keys() == before.keys() - {damaged.id}
    assert neighbour.id in by_identity(snapshot)
    assert len(snapshot.quarantined) == 1
    # The damaged row may be any appointment that seems absent, so that no absence is proven.
    assert snapshot.complete
    assert snapshot.hides_identities
    assert provider.lookup_appointment(damaged.id).exists


def test_a_vendor_that_fails_over_everything_is_no_calendar(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    control.add_fault("server_error", endpoint="listing", times=None)

    with pytest.raises(TransientError) as raised:
        provider.fetch_appointments(TODAY)

    assert type(raised.value) is TransientError
    assert control.stats().requests["listing"] < 10


@pytest.mark.parametrize("fault", ["graphql_errors", "partial_data"])
def test_errors_are_never_a_calendar_whatever_data_comes_with_them(
    provider: VetspireProvider, control: SimulatorControl, fault: str
) -> None:
    before = listed(provider)
    control.add_fault(fault, endpoint="listing", times=None)

    with pytest.raises(TransientError, match="200 with 'errors'"):
        provider.fetch_appointments(TODAY)

    control.clear_faults()
    control.add_fault(fault, endpoint="listing", times=1)
    assert listed(provider) == before


@pytest.mark.parametrize("fault", ["html", "not_a_list"])
def test_what_is_no_listing_is_no_calendar(
    provider: VetspireProvider, control: SimulatorControl, fault: str
) -> None:
    control.add_fault(fault, endpoint="listing", times=None)

    with pytest.raises(ContractViolation):
        provider.fetch_appointments(TODAY)


def test_an_unknown_status_is_kept_as_it_is(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9))
    control.set_status(COMPANY, booked.id, "Waiting for owner")

    found = listed(provider)[booked.id]

    assert found.status == "Waiting for owner"
    assert WORDS.status_of(found.status) is None


def test_a_block_is_no_appointment_and_a_surgery_is_one_by_its_type(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9), type="Neuter")

    found = provider.fetch_appointments(WEEK).appointments

    assert {each.kind for each in found} == {RecordKind.APPOINTMENT, RecordKind.BLOCK}
    assert listed(provider)[booked.id].stated_type == "surgery"
    assert control.stats().requests["dictionary"] == 2


@pytest.mark.parametrize("fault", ["odd_bytes", "json_as_html", "odd_descriptions", "duplicates"])
def test_sound_responses_in_an_odd_form_are_read(
    provider: VetspireProvider, control: SimulatorControl, fault: str
) -> None:
    before = listed(provider)
    control.add_fault(fault, times=None)

    snapshot = provider.fetch_appointments(TODAY)

    assert snapshot.complete
    assert by_identity(snapshot).keys() == before.keys()


def test_records_without_what_decides_are_quarantined_alone(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    before = listed(provider)
    control.add_fault("record_without_id", times=None)
    control.add_fault("record_without_start", times=None)

    snapshot = provider.fetch_appointments(TODAY)

    assert snapshot.quarantined
    assert len(snapshot.appointments) + len(snapshot.quarantined) == len(before)


def test_the_providers_of_the_calendar_are_its_resources(provider: VetspireProvider) -> None:
    keys = {
        key
        for each in provider.fetch_appointments(WEEK).appointments
        for key in each.resources or ()
    }

    assert keys <= {each.key for each in provider.list_resources()}


def test_a_provider_of_another_location_is_no_resource(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    before = provider.list_resources()
    control.add_fault("other_location", times=None)

    assert provider.list_resources() == before
