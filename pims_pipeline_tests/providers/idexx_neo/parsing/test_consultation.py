"""The response with one consultation."""

import json
from dataclasses import replace
from datetime import date

import pytest

from pims_pipeline.providers.idexx_neo.parsing.consultation import parse_consultation
from pims_pipeline.providers.parsing.fields import MAX_ITEMS, MAX_WORDS_LENGTH
from pims_pipeline.providers.parsing.markup import MAX_TEXT, was_cut
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline_tests.providers.idexx_neo.parsing.vendor_responses import (
    APPOINTMENT,
    DAY,
    Json,
    consultation,
)


def test_a_bare_record_is_a_consultation() -> None:
    found = consultation()
    assert (found.appointment_id, found.consultation_id, found.status) == ("7", "55", "Finalized")
    assert (found.notes, found.soap_notes, found.vitals) == (None, None, None)
    assert (found.diagnoses, found.treatments, found.declined_treatments) == ((), (), ())
    assert found.patient is None


def test_notes_become_text_and_are_split_on_their_headings() -> None:
    found = consultation(
        {"notes": "Owner will phone."},
        consultationNotes={"notes": "<p>S: limping</p><p>O: sore &amp; warm</p><p>P: rest</p>"},
    )
    assert found.notes == "S: limping\nO: sore & warm\nP: rest\n\nOwner will phone."
    assert found.soap_notes is not None
    assert found.soap_notes.objective == "sore & warm"
    assert found.soap_notes.plan == "rest"


def test_the_same_words_twice_are_kept_once() -> None:
    found = consultation({"notes": "Well."}, consultationNotes={"notes": "<p>Well.</p>"})
    assert found.notes == "Well."


def test_vital_signs_in_words_end_the_notes() -> None:
    found = consultation(
        consultationNotes={"notes": "<p>Well.</p>"},
        vitalSignGroup=[
            {"name": "Weight", "value": "too lively"},
            {"name": "Pulse", "value": "96", "unit": "bpm"},
        ],
    )
    assert found.notes == "Well.\n\nVital signs noted in words: Weight: too lively"
    assert found.vitals is not None
    assert found.vitals.pulse_bpm is not None
    assert found.vitals.pulse_bpm.value == 96


def test_declined_lines_are_separated_from_treatments() -> None:
    found = consultation(
        consultationLines=[
            {"id": 1, "productService": "Exam", "quantity": 1, "isDeclined": False},
            {"id": 2, "productService": {"name": "Meloxicam"}, "quantity": "7", "isDeclined": "0"},
            {"id": 3, "productService": "Dental X-ray", "quantity": None, "isDeclined": 1},
            {"id": 4, "productService": None, "quantity": 1, "isDeclined": 0},
        ]
    )
    assert found.treatments == ("Exam", "Meloxicam × 7")
    assert found.declined_treatments == ("Dental X-ray",)


def test_diagnoses_come_in_two_shapes() -> None:
    found = consultation(
        diagnoses=["Otitis", {"name": "Otitis"}, {"name": "Sprain", "code": "S93"}, {"code": "X"}]
    )
    assert found.diagnoses == ("Otitis", "Sprain (S93)", "X")


@pytest.mark.parametrize("species", ["Canine", {"id": 1, "name": "Canine"}])
def test_species_is_a_word_or_an_object(species: Json) -> None:
    found = consultation(patient={"id": 3, "name": "Bella", "species": species, "breed": None})
    assert found.patient is not None
    assert (found.patient.id, found.patient.species, found.patient.breed) == ("3", "Canine", None)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-03-03 09:00:00", date(2026, 3, 3)),
        ("2026-03-03", date(2026, 3, 3)),
        ("2026-03-05T03:00:00Z", DAY),
        (None, None),
    ],
)
def test_the_date_is_the_clinics(written: str | None, day: date | None) -> None:
    assert consultation({"date": written}).consultation_date == day


def test_discharge_and_reason_are_text() -> None:
    found = consultation({"dischargeSummary": "<ul><li>Rest</li><li>Food</li></ul>", "reason": ""})
    assert found.discharge_instructions == "Rest\nFood"
    assert found.reason is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"consultation": null}',
        b'{"consultation": {}}',
        b'{"consultation": {"id": 56}}',
        b'{"consultation": {"id": 0}}',
        b'{"consultation": {"id": ["Bella"]}}',
        b'{"consultation": "Bella"}',
    ],
)
def test_an_odd_consultation_is_refused_without_its_content(body: bytes) -> None:
    with pytest.raises(ContractViolation) as raised:
        parse_consultation(body, appointment=APPOINTMENT)
    assert "Bella" not in str(raised.value)


@pytest.mark.parametrize(
    ("odd", "path"),
    [
        ({"consultationNotes": []}, "consultation.consultationNotes array"),
        ({"diagnoses": "0"}, None),
        ({"diagnoses": {"Bella": 1}}, "consultation.diagnoses object"),
        ({"diagnoses": [["Bella"]]}, "consultation.diagnoses[] array"),
        ({"consultationLines": {"Bella": 1}}, "consultation.consultationLines object"),
        ({"consultationLines": ["Bella"]}, "consultation.consultationLines[] string"),
        ({"vitalSignGroup": "Bella"}, "consultation.vitalSignGroup string"),
        ({"vitalSignGroup": ["Bella"]}, "consultation.vitalSignGroup[] string"),
        ({"vitalSignGroup": {"weight": []}}, "consultation.vitalSignGroup.weight array"),
        ({"patient": "Bella"}, "consultation.patient string"),
        ({"consultation": {"id": 55, "date": "Bella"}}, "consultation.consultation.date string"),
        (
            {"consultation": {"id": 55, "date": "0000-00-00 00:00:00"}},
            "consultation.consultation.date string",
        ),
    ],
)
def test_odd_descriptions_do_not_cost_the_consultation(
    odd: dict[str, Json], path: str | None
) -> None:
    whole: dict[str, Json] = {
        "consultation": {"id": 55, "notes": "Owner will phone."},
        "consultationNotes": {"notes": "Well."},
        "vitalSignGroup": [{"name": "Pulse", "value": 96}],
        **odd,
    }
    found = parse_consultation(json.dumps(whole), appointment=APPOINTMENT)
    assert found is not None
    assert found.consultation_id == "55"
    if path is not None:
        assert [f"{each.path} {each.json_type}" for each in found.oddities] == [path]
    assert "Bella" not in repr(found.oddities)
    if "consultationNotes" not in odd:
        assert "Well." in (found.notes or "")


def test_lists_with_gaps_and_single_items_of_a_consultation_are_read() -> None:
    found = consultation(
        consultationLines={"0": {"productService": "Exam"}, "2": {"productService": "X-ray"}},
        diagnoses={"name": "Otitis", "code": "H60"},
        vitalSignGroup={"1": {"name": "Pulse", "value": 96}, "3": []},
    )
    assert found.treatments == ("Exam", "X-ray")
    assert found.diagnoses == ("Otitis (H60)",)
    assert found.vitals is not None
    assert found.vitals.pulse_bpm is not None


def test_a_consultation_of_another_date_is_another_occurrences() -> None:
    occurrence = replace(APPOINTMENT, appointment_id="7@2026-03-04T09:00", series_id="7")
    dates = {"2026-03-04 09:00:00": True, "2026-03-11 09:00:00": False, "": True}
    for written, is_own in dates.items():
        body = json.dumps({"consultation": {"id": 55, "date": written}})
        assert (parse_consultation(body, appointment=occurrence) is not None) is is_own


def test_an_excessive_text_is_cut_off_and_counted() -> None:
    found = consultation(
        {"status": "s" * 1_000_000, "notes": "n" * 1_000_000},
        consultationLines=[{"productService": "p" * 3_000}] * 1_500,
    )
    assert len(found.status or "") == MAX_WORDS_LENGTH + 1
    assert len(found.notes or "") < MAX_TEXT + 100
    assert was_cut(found.notes)
    assert len(found.treatments) == MAX_ITEMS
    assert {each.path for each in found.oddities} == {
        "consultation.consultation.status",
        "consultation.consultation.notes",
        "consultation.consultationLines",
        "consultation.consultationLines[].productService",
    }
