"""Encounters as consultations."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.patients import contradicts
from pims_pipeline.domain.records.appointments import Patient, PimsAppointment
from pims_pipeline.domain.records.consultations import PimsConsultation, SoapNotes, Vital
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.vetspire.parsing.consultation import parse_encounter
from pims_pipeline_tests.providers.vetspire.parsing.rows import CHICAGO
from pims_pipeline_tests.providers.vetspire.parsing.test_listing import any_json

START = datetime(2026, 3, 4, 15, tzinfo=UTC)
APPOINTMENT = PimsAppointment(
    appointment_id="100",
    consultation_id="900",
    scheduled_start=START,
    scheduled_end=START,
    business_date=date(2026, 3, 4),
    patient=Patient(id="40", name="Bella"),
)


def encounter(**fields: object) -> dict[str, object]:
    return {"id": "900", "appointment": {"id": "100"}, "patient": {"id": "40"}, **fields}


def read(**fields: object) -> PimsConsultation:
    found = parse_encounter(encounter(**fields), appointment=APPOINTMENT, zone=CHICAGO)
    assert found is not None
    return found


def test_the_four_parts_are_the_soap_note() -> None:
    found = read(
        signed=True,
        start="2026-03-05T04:00:00",
        subjective=[{"value": "<p>Limping since <b>Monday</b></p>"}],
        objective=[{"value": "T 38.5"}, {"value": "Left hind"}],
        assessment=[],
        plan=[{"value": "Rest &amp; recheck"}],
    )

    assert found.soap_notes == SoapNotes(
        subjective="Limping since Monday", objective="T 38.5\nLeft hind", plan="Rest & recheck"
    )
    assert (found.notes or "").split("\n\n") == [
        "Subjective:\nLimping since Monday",
        "Objective:\nT 38.5\nLeft hind",
        "Plan:\nRest & recheck",
    ]
    assert (found.status, found.consultation_date) == ("signed", date(2026, 3, 4))


def test_sections_are_notes_with_their_own_names() -> None:
    found = read(
        sections=[
            {
                "name": "History",
                "data": [{"label": "Diet", "value": "Kibble"}, {"value": "Indoor"}],
            },
            {"name": None, "data": [{"value": "Bright"}]},
            {"name": "Empty", "data": []},
        ]
    )

    assert found.notes == "History:\nDiet: Kibble\nIndoor\n\nBright"
    assert (found.soap_notes, found.status, found.is_finished) == (None, "unsigned", False)


def test_sections_with_soap_names_are_a_soap_note() -> None:
    found = read(
        sections=[
            {"name": "Subjective", "data": [{"value": "Coughs"}]},
            {"name": "Plan", "data": [{"value": "Wait"}]},
        ]
    )

    assert found.soap_notes == SoapNotes(subjective="Coughs", plan="Wait")


@pytest.mark.parametrize(
    ("written", "value"), [(101.4, 38.56), (38.5, 38.5), ("101.4", 38.56), ("38,5", 38.5)]
)
def test_the_unit_of_a_temperature_is_found_by_plausibility(written: object, value: float) -> None:
    found = read(vitals={"temp": written, "weight": 12.3, "weightUnit": "lbs", "heartRate": 96})

    assert found.vitals is not None
    assert found.vitals.temperature_c == Vital(value, str(written), None)
    assert found.vitals.weight_kg == Vital(5.579, "12.3", "lbs")
    assert found.vitals.pulse_bpm == Vital(96.0, "96")
    assert found.vitals.respiration_bpm is None


def test_what_is_measured_again_or_no_number_is_noted_in_words() -> None:
    found = read(vitals=[{"temp": 38.5, "respRate": "panting"}, {"temp": 39.1, "heartRate": 0}])

    assert found.vitals is not None
    assert found.vitals.temperature_c == Vital(38.5, "38.5")
    assert found.notes == "Vital signs noted in words: respRate: panting; temp: 39.1"


def test_problems_and_products_go_by_their_names() -> None:
    found = read(
        problems=[{"id": "1", "name": "Otitis"}, {"id": "2", "name": "Otitis"}],
        treatments=[{"name": "Nail trim"}],
        medications=["Meloxicam", None, 7],
    )

    assert found.diagnoses == ("Otitis",)
    assert found.treatments == ("Nail trim", "Meloxicam", "7")


def test_a_consultation_of_another_patient_is_recognized() -> None:
    found = read(patient={"id": "41"})

    assert contradicts(found.patient, APPOINTMENT.patient)
    assert not contradicts(read().patient, APPOINTMENT.patient)


@pytest.mark.parametrize(
    "odd", [{"id": "901"}, {"id": None}, {"appointment": {"id": "101"}}, {"appointment": [7]}]
)
def test_another_consultation_is_refused(odd: dict[str, object]) -> None:
    with pytest.raises(ContractViolation):
        read(**odd)


def test_a_consultation_that_names_no_appointment_is_read() -> None:
    assert read(appointment=None).consultation_id == "900"


def test_null_is_no_consultation() -> None:
    assert parse_encounter(None, appointment=APPOINTMENT, zone=CHICAGO) is None


items = st.dictionaries(st.sampled_from(["value", "name", "temp", "data"]), any_json, max_size=2)
FIELDS = (
    "start", "signed", "sections", "subjective", "objective", "assessment", "plan", "problems",
    "medications", "treatments", "vitals", "patient",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), any_json | st.lists(items, max_size=2), max_size=4))
def test_no_description_costs_a_consultation(odd: dict[str, object]) -> None:
    found = read(**odd)

    assert found.consultation_id == "900"
    (found.notes or "").encode()


@given(any_json)
def test_any_value_is_a_consultation_or_violates_the_contract(value: object) -> None:
    try:
        found = parse_encounter(value, appointment=APPOINTMENT, zone=CHICAGO)
    except ContractViolation:
        return
    assert found is None or found.consultation_id == "900"
