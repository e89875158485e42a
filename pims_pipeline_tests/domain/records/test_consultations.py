"""SOAP headings, units, and vital signs no patient can have."""

import json
import re
from collections import Counter
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pims_pipeline.domain.records.appointments import Patient
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.consultations import (
    PLAUSIBLE_RANGES,
    PimsConsultation,
    SoapNotes,
    Vital,
    Vitals,
    celsius,
    consultation_payload,
    kilograms,
    split_soap,
)
from pims_pipeline_tests.domain.strategies import consultations

WHOLE = SoapNotes(subjective="itchy", objective="bright", assessment="atopy", plan="diet")


@pytest.mark.parametrize(
    "text",
    [
        "S: itchy\nO: bright\nA: atopy\nP: diet",
        "s:itchy\no:bright\na:atopy\np:diet",
        "S) itchy\nO) bright\nA) atopy\nP) diet",
        "S - itchy\nO – bright\na - atopy\nP  -  diet",
        "S\nitchy\nO\nbright\nA\natopy\nP\ndiet",
        "Subjective: itchy\nObjective: bright\nAssessment: atopy\nPlan: diet",
        "SUBJECTIVE\nitchy\n\nOBJECTIVE\nbright\n\nASSESSMENT\natopy\n\nPLAN\ndiet\n",
        "Subjective - itchy\nObjective – bright\nAssessment. atopy\nPlan :diet",
        "  Subjective:\r\n itchy\r\n  Objective\r\nbright\r\nA:\r\natopy\r\nPlan\r\ndiet\r\n",
        "\u00a0Subjective\u00a0\nitchy\n\u00a0O\u00a0: bright\nA\u00a0: atopy\nP:\u00a0diet",
        "\tS :\titchy\n\tO :\tbright\n\tA :\tatopy\n\tP :\tdiet",
        "P: diet\nA: atopy\nO: bright\nS: itchy",
        "itchy\nO: bright\nA: atopy\nP: diet",
        "S: itchy\nobjective: bright\nA: atopy\nPlan\ndiet",
        "ſ: itchy\nO: bright\nAſſeſſment: atopy\nP: diet",
    ],
)
def test_notes_are_split_on_their_headings_in_many_shapes(text: str) -> None:
    assert split_soap(text) == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "itchy, bright, atopy, diet",
        "Plan: see Tuesday",
        "Plan: see Tuesday\nPlan: and Friday",
        "The plan: diet\nThe assessment: atopy",
        "Planned diet\nObjectives met",
        "S itchy\nO bright",
        "S-shaped wound\nO-ring swallowed\nA-typical\nP-wave",
        "ſ: itchy",
        "Owner says: fine\nAte: all",
        "SO: A: P:",
        "T: 38.5\nP: 120\nR: 24\nS: itchy",
    ],
)
def test_notes_without_at_least_two_headings_are_left_whole(text: str) -> None:
    assert split_soap(text) is None


def test_repeated_headings_are_joined_in_their_order() -> None:
    notes = split_soap("S: itchy\nP: diet\nS: hungry\nP: bath")
    assert notes == SoapNotes(subjective="itchy\nhungry", plan="diet\nbath")


def test_text_before_the_first_heading_comes_first_in_the_subjective_part() -> None:
    notes = split_soap("Seen with owner.\nP: diet\nS: itchy")
    assert notes == SoapNotes(subjective="Seen with owner.\nitchy", plan="diet")


@pytest.mark.parametrize("pulse", ["P: 120", "P:120 bpm", "p) 96/min", "P : 88 \r"])
def test_a_pulse_is_not_a_plan(pulse: str) -> None:
    notes = split_soap(f"S: itchy\nO: T: 38.5\n{pulse}\nR: 24\nA: atopy\nP: diet")
    assert notes is not None
    assert notes.plan == "diet"
    assert notes.objective == f"T: 38.5\n{pulse}\nR: 24"


@pytest.mark.parametrize("plan", ["10 days of diet", "1) diet", "120 mg", "2026"])
def test_a_plan_may_begin_with_a_number(plan: str) -> None:
    notes = split_soap(f"S: itchy\nPlan: {plan}")
    assert notes is not None
    assert notes.plan == plan


def test_paragraphs_within_a_part_stay_as_they_are() -> None:
    notes = split_soap("S: itchy\n\n  since May\nO: bright")
    assert notes == SoapNotes(subjective="itchy\n\n  since May", objective="bright")


_headings = st.sampled_from(
    ["S: ", "O:", "a) ", "P: ", "Plan\n", "Subjective - ", "OBJECTIVE:\r\n", "Assessment. ", "ſ: "]
)
_glue = st.text(st.sampled_from("aobsp ſ:-.)\n\r\t\u00a0🐶é"), max_size=6)


@given(st.lists(_headings | _glue | st.just("\n") | st.none(), max_size=20))
def test_splitting_loses_no_word(pieces: list[str | None]) -> None:
    # Every None becomes a word of its own that can be found again.
    text = "".join(f"<{n}>" if piece is None else piece for n, piece in enumerate(pieces))
    words = re.findall("<[0-9]+>", text)
    notes = split_soap(text)
    if notes is not None:
        parts = (notes.subjective, notes.objective, notes.assessment, notes.plan)
        assert sorted(re.findall("<[0-9]+>", " ".join(parts))) == sorted(words)


@given(st.text(st.characters()) | st.lists(_headings | _glue).map("".join))
@example("S:" * 10_000)
@example(" \t" * 50_000 + "\nS: x\nP: y")
@example("S:\nP:")
def test_nothing_but_headings_and_blanks_disappears_and_nothing_is_invented(text: str) -> None:
    notes = split_soap(text)
    if notes is None:
        return
    kept = f"{notes.subjective}{notes.objective}{notes.assessment}{notes.plan}"
    lost = _letters(text) - _letters(kept)
    assert not _letters(kept) - _letters(text)
    assert set(lost) <= set("subjectiveobjectiveassessmentplan:.-–)")


def _letters(text: str) -> Counter[str]:
    return Counter(each for each in text.casefold() if not each.isspace())


@given(st.lists(st.tuples(st.sampled_from("SOAP"), st.integers()), min_size=1, max_size=12))
def test_every_word_goes_to_the_part_whose_heading_it_follows(parts: list[tuple[str, int]]) -> None:
    notes = split_soap("\n".join(f"{letter}: word{n}" for letter, n in parts))
    if len({letter for letter, _ in parts}) < 2:
        assert notes is None
        return
    assert notes is not None
    by_letter = {
        "S": notes.subjective,
        "O": notes.objective,
        "A": notes.assessment,
        "P": notes.plan,
    }
    for letter, text in by_letter.items():
        assert text.split() == [f"word{n}" for each, n in parts if each == letter]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (38.5, None, 38.5),
        (38.5, "C", 38.5),
        (38.5, "°C", 38.5),
        (101.3, "F", 38.5),
        (101.3, "°F", 38.5),
        (101.3, " fahrenheit ", 38.5),
        (101.3, None, 38.5),
        (101.3, "C", 38.5),
        (90.0, None, 32.22),
        (110.0, None, 43.33),
        (89.99, None, 89.99),
        (110.01, None, 110.01),
        (88.0, "F", 31.11),
        (88.0, "° F", 31.11),
        (88.0, "ºF", 31.11),
        (0.0, "", 0.0),
    ],
)
def test_temperatures_become_celsius(value: float, unit: str | None, expected: float) -> None:
    assert celsius(value, unit) == expected


@given(st.floats(90, 110), st.sampled_from([None, "", "C", "F", "°C"]))
def test_a_reading_no_animal_has_in_celsius_is_fahrenheit(value: float, unit: str | None) -> None:
    assert 32 <= celsius(value, unit) <= 43.34


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (4.2, None, 4.2),
        (4.2, "kg", 4.2),
        (4.2, " KG ", 4.2),
        (10.0, "lb", 4.536),
        (10.0, "Lbs.", 4.536),
        (10.0, "pounds", 4.536),
        (850.0, "g", 0.85),
        (16.0, "oz", 0.454),
        (4.2, "", 4.2),
    ],
)
def test_weights_become_kilograms(value: float, unit: str | None, expected: float) -> None:
    assert kilograms(value, unit) == expected


@pytest.mark.parametrize("name", list(PLAUSIBLE_RANGES))
def test_a_vital_sign_is_implausible_just_outside_its_range(name: str) -> None:
    low, high = PLAUSIBLE_RANGES[name]

    def flagged(value: float) -> tuple[str, ...]:
        return Vitals(**{name: Vital(value, str(value))}).implausible()

    assert (flagged(low), flagged(high)) == ((), ())
    assert (flagged(low - 0.001), flagged(high + 0.001)) == ((name,), (name,))
    assert flagged(float("nan")) == (name,)


def test_the_plausible_ranges_are_those_of_living_patients() -> None:
    assert PLAUSIBLE_RANGES == {
        "temperature_c": (32, 43),
        "weight_kg": (0.02, 1200),
        "pulse_bpm": (20, 350),
        "respiration_bpm": (4, 200),
    }


def test_every_implausible_value_is_named_and_an_absent_one_is_not() -> None:
    vitals = Vitals(temperature_c=Vital(20, "20"), pulse_bpm=Vital(900, "900"))
    assert vitals.implausible() == ("temperature_c", "pulse_bpm")
    assert Vitals().implausible() == ()


@given(consultations(), consultations())
def test_the_digest_of_a_consultation_follows_its_content(
    one: PimsConsultation, other: PimsConsultation
) -> None:
    first, second = (digest(canonical_json(consultation_payload(each))) for each in (one, other))
    assert (first == second) == (one == other)


def test_minus_zero_is_written_as_the_zero_that_it_equals() -> None:
    one, other = (
        PimsConsultation(
            appointment_id="1", consultation_id="2", vitals=Vitals(weight_kg=Vital(value, "0"))
        )
        for value in (0.0, -0.0)
    )
    assert one == other
    assert canonical_json(consultation_payload(one)) == canonical_json(consultation_payload(other))


@given(consultations())
def test_a_consultation_s_payload_survives_json(consultation: PimsConsultation) -> None:
    payload = consultation_payload(consultation)
    assert json.loads(canonical_json(payload)) == payload


def test_a_consultation_is_written_in_the_wire_s_names() -> None:
    record = PimsConsultation(
        appointment_id="1",
        consultation_id="2",
        consultation_date=date(2026, 3, 5),
        soap_notes=WHOLE,
        vitals=Vitals(temperature_c=Vital(50.0, "50", "C")),
        declined_treatments=("dental",),
        patient=Patient(name="Mishka", species="Feline"),
    )
    payload = consultation_payload(record)
    assert payload["consultationDate"] == "2026-03-05"
    assert payload["soapNotes"] == {
        "subjective": "itchy",
        "objective": "bright",
        "assessment": "atopy",
        "plan": "diet",
    }
    assert payload["vitals"] == {
        "temperatureC": {"value": 50.0, "rawValue": "50", "rawUnit": "C"},
        "weightKg": None,
        "pulseBpm": None,
        "respirationBpm": None,
        "implausible": ["temperature_c"],
    }
    assert payload["declinedTreatments"] == ["dental"]
    assert payload["patient"]["species"] == "Feline"
