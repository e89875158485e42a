"""What Vetspire's parsers report as seen, also of what they refuse."""

import pytest

from pims_pipeline.domain.records.shapes import Shapes, named
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.vetspire.parsing.consultation import parse_encounter
from pims_pipeline.providers.vetspire.parsing.locations import parse_locations
from pims_pipeline.providers.vetspire.parsing.lookup import parse_lookup
from pims_pipeline.providers.vetspire.parsing.shapes import listing_shapes, rows_of
from pims_pipeline.providers.vetspire.parsing.types import parse_types
from pims_pipeline_tests.providers.vetspire.parsing.rows import CHICAGO, FETCHED_AT, RULES, row
from pims_pipeline_tests.providers.vetspire.parsing.test_consultation import APPOINTMENT, encounter


def counts(shapes: Shapes) -> dict[str, int]:
    return {f"{each.path} {each.json_type}": each.seen for each in shapes}


def looked_up(found: object) -> Shapes:
    return parse_lookup(found, appointment_id="100", rules=RULES, asked_at=FETCHED_AT).shapes


def consulted(found: object) -> Shapes:
    consultation = parse_encounter(found, appointment=APPOINTMENT, zone=CHICAGO)
    return consultation.shapes if consultation else ()


def test_the_rows_of_all_pages_are_counted_together() -> None:
    phones = [{"value": "312", "preferred": True}]
    client = {"id": "9", "phoneNumbers": phones}
    found = counts(listing_shapes([row(), row(patient={"id": "40", "client": client})]))
    assert found["listing object"] == 1
    assert found["listing.appointments[] object"] == 2
    assert found["listing.appointments[].location.id string"] == 2
    assert found["listing.appointments[].patient.client.phoneNumbers[].preferred boolean"] == 1


def test_lookups_and_encounters_are_counted_by_the_field_that_was_requested() -> None:
    assert counts(looked_up(row()))["lookup.appointment.location.id string"] == 1
    assert counts(looked_up(None)) == {"lookup object": 1, "lookup.appointment null": 1}
    noted = counts(consulted(encounter(vitals=[{"heartRate": 90}], sections=None)))
    assert noted["consultation.encounter.vitals[].heartRate number"] == 1
    assert noted["consultation.encounter.sections null"] == 1
    assert consulted(None) == ()


def test_the_dictionary_is_counted_too() -> None:
    types = parse_types({"appointmentTypes": [{"id": "3", "name": "Exam", "isBlockoff": False}]})
    assert counts(types.shapes)["dictionary.appointmentTypes[].isBlockoff boolean"] == 1
    with pytest.raises(ContractViolation) as refused:
        parse_locations({"locations": {"id": "2001"}})
    assert "dictionary.locations.id string" in counts(refused.value.shapes)


def test_what_is_refused_is_reported_too() -> None:
    with pytest.raises(ContractViolation) as page:
        rows_of({"appointments": {"id": "100"}}, "the calendar")
    assert "listing.appointments.id string" in counts(page.value.shapes)
    with pytest.raises(ContractViolation) as lookup:
        looked_up(row(start=[1]))
    assert "lookup.appointment.start array" in counts(lookup.value.shapes)
    with pytest.raises(ContractViolation) as consultation:
        consulted(["900"])
    assert "consultation.encounter[] string" in counts(consultation.value.shapes)


def test_every_requested_name_is_known_and_no_other_is_kept_unseen() -> None:
    sound = listing_shapes([row(isWalkIn=True)])
    paths = {each.path for each in named(sound)}
    assert "listing.appointments[].duration" in paths
    assert "listing.appointments[].isWalkIn" not in paths
