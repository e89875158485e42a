"""Who is the same patient or client, by id and by name."""

import pytest
from hypothesis import given

from pims_pipeline.domain.planning.patients import contradicts, is_another
from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline_tests.domain.strategies import patients

REX = Patient(id="100", name="Rex")
BELLA = Patient(id="200", name="Bella")


@pytest.mark.parametrize(
    ("before", "after", "another"),
    [
        (REX, BELLA, True),
        (REX, Patient(id="100", name="Rexie"), False),
        (REX, Patient(id="200", name="Rex"), True),
        (Patient(name="Rex"), REX, False),
        (Patient(name=" rex "), REX, False),
        (REX, Patient(name="REX"), False),
        (Patient(name="Rex"), BELLA, True),
        (Patient(name="Rex"), Patient(name="Bella"), True),
        (Patient(name="Rex"), Patient(name="Rex"), False),
        (Patient(), BELLA, False),
        (REX, Patient(), True),
        (Patient(id="100"), Patient(), True),
        (Patient(), Patient(), False),
    ],
)
def test_another_patient_is_recognized_by_id_or_else_by_name(
    before: Patient, after: Patient, *, another: bool
) -> None:
    assert is_another(before, after) is another


@pytest.mark.parametrize(
    ("named", "expected", "contradiction"),
    [
        (None, BELLA, False),
        (REX, BELLA, True),
        (REX, Patient(id="100", name="Bella"), False),
        (Patient(name="Rex"), Patient(name="Bella"), True),
        (Patient(name="Rex"), Patient(name="rex "), False),
        (Patient(name=""), Patient(name="Bella"), False),
        (REX, Patient(name="Walk-in"), False),
        (Patient(name="Walk-in"), BELLA, False),
    ],
)
def test_a_consultation_is_another_s_only_where_that_is_proven(
    named: Patient | None, expected: Patient, *, contradiction: bool
) -> None:
    assert contradicts(named, expected) is contradiction


@given(patients, patients)
def test_a_contradiction_is_always_a_change_as_well(one: Patient, other: Patient) -> None:
    """A consultation that a change removes is thus never attached again."""
    assert not contradicts(one, one)
    assert not is_another(one, one)
    if contradicts(one, other):
        assert is_another(one, other)
        assert contradicts(other, one)
