"""Lookups and consultations from end to end, one and many at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pims_pipeline.domain.planning.patients import contradicts
from pims_pipeline.providers.port import ContractViolation, TransientError
from pims_pipeline.providers.vetspire.provider import VetspireProvider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.providers.vetspire.clinics import (
    CATS,
    CHICAGO,
    DAY,
    TODAY,
    at,
    listed,
)

COMPANY = CHICAGO.company_id
UNKNOWN = "4"


def test_a_lookup_finds_an_appointment_on_any_date(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9) + timedelta(days=40))

    found = provider.lookup_appointment(booked.id)

    assert found.exists
    assert found.business_date == DAY + timedelta(days=40)


def test_an_unknown_appointment_is_gone(provider: VetspireProvider) -> None:
    assert not provider.lookup_appointment(UNKNOWN).found


@pytest.mark.parametrize("response", ["flag", "null", "not_found", "gone"])
def test_a_deleted_appointment_is_gone_however_the_vendor_says_so(
    provider: VetspireProvider, control: SimulatorControl, response: str
) -> None:
    booked = control.book(COMPANY, at(9))
    control.settings(company_id=COMPANY, deleted_lookup=response)  # type: ignore[arg-type] # one of its values
    control.delete(COMPANY, booked.id)

    found = provider.lookup_appointment(booked.id)

    assert not found.exists
    assert found.deleted is (response == "flag")


def test_an_appointment_of_another_location_is_gone_from_this_clinic(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(CATS.company_id, at(9))

    found = provider.lookup_appointment(booked.id)

    assert (found.exists, found.at_another_location) == (False, True)


@pytest.mark.parametrize("fault", ["graphql_errors", "partial_data"])
def test_nothing_is_concluded_from_an_error(
    provider: VetspireProvider, control: SimulatorControl, fault: str
) -> None:
    booked = control.book(COMPANY, at(9))
    control.add_fault(fault, endpoint="appointment", times=None)

    with pytest.raises(TransientError):
        provider.lookup_appointment(booked.id)


def test_many_appointments_are_looked_up_with_one_request(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    identities = list(listed(provider))
    before = control.stats().requests["appointment"]

    found = provider.lookup_appointments(identities)

    assert found.keys() == set(identities)
    assert control.stats().requests["appointment"] == before + 1


def test_one_unknown_identity_costs_no_other_lookup(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    known = list(listed(provider))[:9]

    found = provider.lookup_appointments([*known[:4], UNKNOWN, *known[4:]])

    assert {each for each, lookup in found.items() if lookup.found} == set(known)
    assert not found[UNKNOWN].found
    assert control.stats().requests["appointment"] < 10


def test_a_consultation_is_read(provider: VetspireProvider, control: SimulatorControl) -> None:
    booked = control.book(COMPANY, at(9))
    control.finish(COMPANY, booked.id, "<p>Well <b>again</b>.</p>")
    appointment = listed(provider)[booked.id]

    found = provider.fetch_consultation(appointment)

    assert found is not None
    assert "Well again." in (found.notes or "")
    assert found.status == "signed"
    assert not contradicts(found.patient, appointment.patient)


def test_a_correction_is_read_the_next_time(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9))
    control.finish(COMPANY, booked.id, "<p>Left</p>")
    appointment = listed(provider)[booked.id]
    provider.fetch_consultation(appointment)
    control.write_notes(COMPANY, booked.id, "<p>Right</p>")

    found = provider.fetch_consultation(appointment)

    assert found is not None
    assert "Right" in (found.notes or "")


def test_an_appointment_without_a_consultation_costs_no_request(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    booked = control.book(COMPANY, at(9))
    appointment = listed(provider)[booked.id]

    assert provider.fetch_consultation(appointment) is None
    assert provider.fetch_consultations([appointment]) == {booked.id: None}
    assert control.stats().requests.get("consultation", 0) == 0


def test_many_consultations_are_those_that_are_fetched_one_by_one(
    provider: VetspireProvider, control: SimulatorControl
) -> None:
    opened = [each for each in listed(provider).values() if each.consultation_id is not None][:7]

    many = provider.fetch_consultations(opened)

    assert control.stats().requests["consultation"] == 1
    assert many == {each.appointment_id: provider.fetch_consultation(each) for each in opened}


def test_a_consultation_of_another_appointment_is_refused_alone(
    provider: VetspireProvider,
) -> None:
    first, second = [e for e in listed(provider).values() if e.consultation_id is not None][:2]
    mixed_up = replace(first, consultation_id=second.consultation_id)

    with pytest.raises(ContractViolation, match="is not the requested one"):
        provider.fetch_consultation(mixed_up)
    assert provider.fetch_consultations([mixed_up, second]).keys() == {second.appointment_id}


def test_an_unknown_consultation_is_none(provider: VetspireProvider) -> None:
    appointment = replace(next(iter(listed(provider, TODAY).values())), consultation_id=UNKNOWN)

    assert provider.fetch_consultation(appointment) is None
