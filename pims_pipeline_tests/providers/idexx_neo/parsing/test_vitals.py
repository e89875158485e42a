"""Vital signs in the vendor's two shapes, and in any spelling."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.consultations import Vital, Vitals
from pims_pipeline.providers.idexx_neo.parsing.vitals import VitalsReading, read_vitals
from pims_pipeline.providers.parsing.measurements import quantities

NOTHING = VitalsReading(None)


def weight(value: object, unit: str | None = None) -> VitalsReading:
    return read_vitals([{"name": "Weight", "value": value, "unit": unit}])


def test_an_object_and_a_list_say_the_same() -> None:
    as_object = read_vitals(
        {
            "temperature": 101.4,
            "temperatureUnit": "F",
            "pulse": 96,
            "respiration": 24,
            "weight": 12.3,
            "weightUnit": "lb",
        }
    )
    as_list = read_vitals(
        [
            {"name": "Temperature", "value": "101.4", "unit": "F"},
            {"name": "Pulse", "value": "96"},
            {"name": "Respiration", "value": 24, "unit": None},
            {"name": "Weight", "value": "12.3", "unit": "lb"},
        ]
    )
    assert as_object == as_list
    assert as_object.vitals == Vitals(
        temperature_c=Vital(38.56, "101.4", "F"),
        weight_kg=Vital(5.579, "12.3", "lb"),
        pulse_bpm=Vital(96, "96", None),
        respiration_bpm=Vital(24, "24", None),
    )


@pytest.mark.parametrize("unit", ["F", "°F", "º F", "deg F", "Fahrenheit", "degrees f", None, ""])
def test_a_fahrenheit_reading_is_converted_however_it_is_spelt(unit: str | None) -> None:
    reading = read_vitals([{"name": "Temp.", "value": "101,4", "unit": unit}])
    assert reading.vitals is not None
    assert reading.vitals.temperature_c == Vital(38.56, "101,4", unit or None)


def test_a_unit_in_the_name_counts() -> None:
    reading = read_vitals([{"name": "Temperature (°F)", "value": "89"}])
    assert reading.vitals is not None
    assert reading.vitals.temperature_c == Vital(31.67, "89", "°F")


@pytest.mark.parametrize(
    ("written", "unit", "kilograms"),
    [
        ("12.3 lb", None, 5.579),
        ("12.3lbs.", None, 5.579),
        ("12.3 lb", "kg", 5.579),
        ("4,25", "kg", 4.25),
        ("0,125", "kg", 0.125),
        ("1,200.5", "lb", 544.538),
        ("850 g", None, 0.85),
        (4, None, 4.0),
        ("12 lb 4 oz", None, 5.556),
        ("12lb4oz", "kg", 5.556),
        ("12 lbs., 4 oz.", None, 5.556),
        ("12 lb and 4 oz", None, 5.556),
        ("4 kg 350 g", None, 4.35),
        ("12#", None, 5.443),
        ("12# 4oz", None, 5.556),
        ("12", "#", 5.443),
        ("350 gr", None, 0.35),
        ("12.5 lb (5.67 kg)", None, 5.67),
        ("12.5lb/5.67kg", None, 5.67),
        ("\uff11\uff12 kg", None, 12.0),
        ("12 ㎏", None, 12.0),
    ],
)
def test_a_weight_is_read_with_its_unit(
    written: object, unit: str | None, kilograms: float
) -> None:
    reading = weight(written, unit)
    assert reading.in_words == ()
    assert reading.vitals is not None
    assert reading.vitals.weight_kg is not None
    assert reading.vitals.weight_kg.value == kilograms
    assert reading.vitals.weight_kg.raw_value == str(written)


@pytest.mark.parametrize(
    "words",
    [
        "QNS",
        ">40",
        "98-102",
        "1,200",
        "1,200 kg",
        "12 stone",
        "1e5",
        "38.5 °C",
        "12 lb 4",
        "12 4",
        "4 oz 12 lb",
        "12 lb 4 lb",
        "12 lb 4 oz 2 g",
        "12.5 lb (9 kg)",
        "1.234.567",
        "12 lb,",
        "9" * 300,
    ],
)
def test_what_is_no_sure_weight_stays_in_words(words: str) -> None:
    assert weight(words) == VitalsReading(None, (f"Weight: {words}",))


def test_a_sign_that_has_no_number_of_its_own_stays_in_words() -> None:
    reading = read_vitals([{"name": "Mucous membranes", "value": "pink"}])
    assert reading == VitalsReading(None, ("Mucous membranes: pink",))


def test_the_first_of_two_readings_counts_and_the_second_is_not_lost() -> None:
    reading = read_vitals([{"name": "HR", "value": 96}, {"name": "Heart rate", "value": 120}])
    assert reading == VitalsReading(Vitals(pulse_bpm=Vital(96, "96")), ("Heart rate: 120",))


@pytest.mark.parametrize("nothing", [None, False, "", "  ", 0, 0.0, "0", "0.0 kg", "0 lb 0 oz"])
def test_what_measures_nothing_is_left_out(nothing: object) -> None:
    assert weight(nothing) == NOTHING


@pytest.mark.parametrize("name", ["Temperature", "Weight", "Pulse", "Respiration"])
@pytest.mark.parametrize("zero", [0, 0.0, -0.0, "0", "0,0", "+0"])
@pytest.mark.parametrize("unit", [None, "F", "lb"])
def test_zero_means_not_measured(name: str, zero: object, unit: str | None) -> None:
    assert read_vitals([{"name": name, "value": zero, "unit": unit}]) == NOTHING
    as_object = {name.lower(): zero, f"{name.lower()}Unit": unit}
    assert read_vitals(as_object) == NOTHING


@pytest.mark.parametrize(
    ("written", "unit", "degrees"),
    [
        ("38.5℃", None, 38.5),
        ("38.5", "℃", 38.5),
        ("101.3℉", None, 38.5),
        ("101.3", "℉", 38.5),
        ("38.5 ° C", None, 38.5),
        ("101.3°F (38.5°C)", None, 38.5),
    ],
)
def test_a_temperature_is_read_in_any_spelling(
    written: str, unit: str | None, degrees: float
) -> None:
    reading = read_vitals([{"name": "Temp", "value": written, "unit": unit}])
    assert reading.in_words == ()
    assert reading.vitals is not None
    assert reading.vitals.temperature_c is not None
    assert reading.vitals.temperature_c.value == degrees


@pytest.mark.parametrize("written", ["96", "96/min", "96 bpm", "96 / min."])
def test_a_pulse_is_read_with_or_without_its_unit(written: str) -> None:
    reading = read_vitals([{"name": "HR", "value": written}])
    assert reading.vitals is not None
    assert reading.vitals.pulse_bpm is not None
    assert reading.vitals.pulse_bpm.value == 96


@pytest.mark.parametrize("group", [None, [], {}])
def test_no_group_is_no_vitals(group: object) -> None:
    assert read_vitals(group) == NOTHING


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("x", "vitalSignGroup"),
        (7, "vitalSignGroup"),
        (True, "vitalSignGroup"),
        (["x"], "vitalSignGroup[]"),
        ([{"name": [1], "value": 7}], "vitalSignGroup[].name"),
        ([{"name": "Mood", "value": {}}], "vitalSignGroup[].value"),
        ([{"name": "Weight", "value": []}], "vitalSignGroup[].value"),
        ({"weight": []}, "vitalSignGroup.weight"),
        ([{"name": "Weight", "value": True}], "vitalSignGroup[].value"),
        ([{"name": "Weight", "value": math.nan}], "vitalSignGroup[].value"),
        ({"weight": {"kg": 7}}, "vitalSignGroup.weight"),
    ],
)
def test_another_shape_is_an_oddity_and_stops_nothing(group: object, path: str) -> None:
    assert [each for each, _ in read_vitals(group).oddities] == [path]


def test_an_odd_measurement_leaves_its_neighbours_alone() -> None:
    reading = read_vitals([None, {"name": "Weight", "value": []}, {"name": "HR", "value": 96}])
    assert reading.vitals == Vitals(pulse_bpm=Vital(96, "96"))


def test_a_list_that_lost_entries_is_read_as_a_list() -> None:
    entries = {"0": {"name": "HR", "value": 96}, "2": {"name": "Weight", "value": "4 kg"}}
    assert read_vitals(entries) == read_vitals(list(entries.values()))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SIGNS = st.fixed_dictionaries(
    {"name": st.sampled_from(["Weight", "Temp", "HR", "RR"]) | JSON, "value": JSON, "unit": JSON}
)


@given(JSON | st.lists(SIGNS | JSON, max_size=4))
def test_any_json_is_read_and_every_value_is_a_finite_number_that_is_not_zero(
    group: object,
) -> None:
    vitals = read_vitals(group).vitals or Vitals()
    found = (vitals.temperature_c, vitals.weight_kg, vitals.pulse_bpm, vitals.respiration_bpm)
    assert all(math.isfinite(each.value) for each in found if each is not None)
    assert all(float(quantities(each.raw_value)[0].number) for each in found if each is not None)


def test_an_implausible_value_is_kept() -> None:
    reading = weight("5000 kg")
    assert reading.vitals is not None
    assert reading.vitals.implausible() == ("weight_kg",)
