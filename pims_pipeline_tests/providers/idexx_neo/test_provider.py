"""What IDEXX Neo's adapter does beyond the promises of every provider."""

from datetime import date, datetime, timedelta

import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.providers.idexx_neo.provider import IdexxNeoProvider
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.providers.simulated_login import CLINIC

DAY = date(2026, 3, 4)
WINDOW = DateRange(DAY - timedelta(days=2), DAY + timedelta(days=2))


def listed(provider: IdexxNeoProvider) -> dict[str, PimsAppointment]:
    found = provider.fetch_appointments(WINDOW).appointments
    return {each.appointment_id: each for each in found}


def booked(control: SimulatorControl) -> str:
    return control.book(CLINIC.company_id, datetime(2026, 3, 4, 9)).id  # noqa: DTZ001 - clinic-local


def test_a_listing_is_one_request(
    warm_provider: IdexxNeoProvider, control: SimulatorControl
) -> None:
    warm_provider.fetch_appointments(DateRange(DAY, DAY + timedelta(days=30)))
    assert control.stats().requests["listing"] == 1


def test_an_appointment_without_consultation_is_not_asked_for(
    warm_provider: IdexxNeoProvider, control: SimulatorControl
) -> None:
    identity = booked(control)
    appointment = listed(warm_provider)[identity]
    assert appointment.consultation_id is None
    assert warm_provider.fetch_consultation(appointment) is None
    assert control.stats().requests["consultation"] == 0


@pytest.mark.parametrize(
    "how", ["zero_ids", "odd_bytes", "json_as_html", "odd_descriptions", "duplicates"]
)
def test_odd_responses_cost_no_appointment_and_no_consultation(
    warm_provider: IdexxNeoProvider, control: SimulatorControl, how: str
) -> None:
    identity = booked(control)
    control.finish(CLINIC.company_id, identity, "<p>Well again.</p>")
    before = {name: each.scheduled_start for name, each in listed(warm_provider).items()}
    control.add_fault(how, times=None)
    snapshot = warm_provider.fetch_appointments(WINDOW)
    after = {each.appointment_id: each for each in snapshot.appointments}
    assert {name: each.scheduled_start for name, each in after.items()} == before
    keys = [record.record_key for record in snapshot.quarantined]
    assert len(set(keys)) == len(keys)
    consultation = warm_provider.fetch_consultation(after[identity])
    assert consultation is not None
    assert "Well again." in (consultation.notes or "")
    assert warm_provider.lookup_appointment(identity).exists
