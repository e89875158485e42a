"""Whose consultation it is, and which species it names."""

from dataclasses import replace
from uuid import UUID

import pytest

from pims_pipeline.domain.planning.enrichment import (
    plan_consultations,
)
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
)
from pims_pipeline.domain.records.consultations import (
    PimsConsultation,
    Vital,
    Vitals,
)
from pims_pipeline_tests.domain.planning.enrichment.consultations import (
    APPOINTMENT,
    CASE_ID,
    DAY,
    RECORD,
    START,
    case,
    enriched,
    response,
)

BELLA = Patient(id="200", name="Bella")
REX = Patient(id="100", name="Rex", species="Canine")


def test_a_consultation_of_another_patient_is_refused_whole() -> None:
    of_rex = replace(RECORD, patient=REX, vitals=Vitals(temperature_c=Vital(20.0, "20")))
    known = case(appointment=replace(APPOINTMENT, patient=BELLA))
    asked = replace(response(of_rex), asked_for=known.appointment)
    plan = plan_consultations({CASE_ID: known}, [asked])
    assert plan.refused == {CASE_ID}
    assert (plan.writes, plan.checked, plan.implausible) == ((), {}, frozenset())


def test_a_refused_consultation_skips_no_later_one_and_leaves_the_stored_one() -> None:
    bellas = enriched(
        replace(RECORD, patient=BELLA), appointment=replace(APPOINTMENT, patient=BELLA)
    )
    other = case(case_id=UUID(int=2))
    plan = plan_consultations(
        {CASE_ID: bellas, other.case_id: other},
        [
            replace(response(replace(RECORD, patient=REX)), asked_for=bellas.appointment),
            replace(response(), case_id=other.case_id),
        ],
    )
    assert plan.refused == {CASE_ID}
    assert [write.case.case_id for write in plan.writes] == [other.case_id]


@pytest.mark.parametrize(
    ("asked_for", "now"),
    [
        (replace(APPOINTMENT, patient=REX), replace(APPOINTMENT, patient=BELLA)),
        (replace(APPOINTMENT, client=Client(id="1")), replace(APPOINTMENT, client=Client(id="2"))),
        (replace(APPOINTMENT, consultation_id="8"), replace(APPOINTMENT, consultation_id="9")),
        (replace(APPOINTMENT, consultation_id="8"), replace(APPOINTMENT, consultation_id=None)),
    ],
    ids=["another patient", "another client", "another consultation", "none any more"],
)
@pytest.mark.parametrize("record", [RECORD, None])
def test_a_response_about_an_earlier_state_of_the_appointment_is_fetched_again(
    asked_for: PimsAppointment, now: PimsAppointment, record: PimsConsultation | None
) -> None:
    """The appointment changed while the vendor was asked, and its listing is older."""
    asked = replace(response(record), asked_for=asked_for)
    plan = plan_consultations({CASE_ID: case(appointment=now)}, [asked])
    assert (plan.writes, plan.checked) == ((), {})
    assert plan.unchanged == {CASE_ID}


def test_a_response_about_the_same_appointment_at_another_time_counts() -> None:
    moved = replace(APPOINTMENT, scheduled_start=START - DAY, status="Finalized")
    plan = plan_consultations({CASE_ID: case(appointment=moved)}, [response()])
    assert [write.case.case_id for write in plan.writes] == [CASE_ID]


def test_an_unreadable_consultation_on_the_case_is_replaced_and_its_event_keeps_it() -> None:
    damage = {"metadata.consultation": ["x"], "metadata.reconciliation": 5}
    (write,) = plan_consultations({CASE_ID: case(damage=damage)}, [response()]).writes
    assert write.changes["metadata.consultation"] == (["x"], None)
    assert "metadata.reconciliation" not in write.changes


FELINE = replace(RECORD, patient=Patient(name="Mishka", species="Feline"))


def test_the_species_is_filled_in_from_the_consultation() -> None:
    (write,) = plan_consultations({CASE_ID: case()}, [response(FELINE)]).writes
    assert write.patient_species == "Feline"
    assert write.changes["patient_species"] == (None, "Feline")


def test_a_lost_species_is_filled_in_even_when_the_consultation_is_the_same() -> None:
    (write,) = plan_consultations({CASE_ID: enriched(FELINE)}, [response(FELINE)]).writes
    assert write.changes == {"patient_species": (None, "Feline")}


def test_a_species_corrected_by_a_user_stays_while_the_consultation_is_the_same() -> None:
    known = enriched(FELINE, patient_species="Lynx")
    assert plan_consultations({CASE_ID: known}, [response(FELINE)]).writes == ()


@pytest.mark.parametrize("patient", [None, Patient(name="Mishka"), Patient(species="")])
def test_a_consultation_without_a_species_leaves_the_present_one(patient: Patient | None) -> None:
    record = replace(RECORD, notes="scratchy", patient=patient)
    known = enriched(patient_species="Feline")
    (write,) = plan_consultations({CASE_ID: known}, [response(record)]).writes
    assert write.patient_species is None
    assert "patient_species" not in write.changes
