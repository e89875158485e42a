"""The lookup of one appointment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.appointments import AppointmentLookup, RecordKind
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.vetspire.parsing.lookup import parse_lookup
from pims_pipeline_tests.providers.vetspire.parsing.rows import DAY, FETCHED_AT, RULES, row
from pims_pipeline_tests.providers.vetspire.parsing.test_listing import any_json


def looked_up(found: object) -> AppointmentLookup:
    return parse_lookup(found, appointment_id="100", rules=RULES, asked_at=FETCHED_AT)


def test_an_appointment_of_the_clinic_exists() -> None:
    found = looked_up(row(type={"id": "1"}, provider={"id": "5"}))

    assert found.exists
    assert (found.status, found.business_date) == ("PLANNED", DAY)
    assert found.resources == ("provider:5",)


def test_null_is_unknown() -> None:
    assert not looked_up(None).found


def test_deleted_is_positive_evidence_whatever_else_cannot_be_read() -> None:
    found = looked_up({"id": "100", "deleted": True, "start": [], "location": None})

    assert (found.found, found.deleted, found.exists) == (True, True, False)


def test_an_appointment_of_another_location_is_gone_from_this_clinic() -> None:
    found = looked_up(row(location={"id": "8"}))

    assert (found.found, found.at_another_location, found.exists) == (True, True, False)
    assert not found.deleted


def test_a_block_is_no_appointment() -> None:
    assert looked_up(row(type={"id": "3"})).kind is RecordKind.BLOCK


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "101"},
        {"id": None},
        {"deleted": "perhaps"},
        {"location": None},
        {"start": "soon"},
        {"type": {"id": "4"}},
    ],
)
def test_nothing_is_concluded_from_what_cannot_be_read(odd: dict[str, object]) -> None:
    with pytest.raises(ContractViolation):
        looked_up(row(**odd))


@given(any_json | st.dictionaries(st.sampled_from(["id", "deleted", "location"]), any_json))
def test_any_value_is_a_lookup_or_violates_the_contract(value: object) -> None:
    try:
        found = looked_up(value)
    except ContractViolation:
        return
    assert found.appointment_id == "100"
