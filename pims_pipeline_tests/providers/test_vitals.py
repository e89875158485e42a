"""Vital signs in the vendor's two shapes, and in people's spelling."""

import math

import pytest

from pims_pipeline.domain.consultations import Vital, Vitals
from pims_pipeline.providers.idexx_neo.fields import UnreadableField
from pims_pipeline.providers.idexx_neo.vitals import VitalsReading, read_vitals

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


@pytest.mark.parametrize("words", ["QNS", ">40", "98-102", "1,200", "12 stone", "1e5", "38.5 °C"])
def test_what_is_no_sure_weight_stays_in_words(words: str) -> None:
    assert weight(words) == VitalsReading(None, (f"Weight: {words}",))


def test_a_sign_that_has_no_number_of_its_own_stays_in_words() -> None:
    reading = read_vitals([{"name": "Mucous membranes", "value": "pink"}])
    assert reading == VitalsReading(None, ("Mucous membranes: pink",))


def test_the_first_of_two_readings_counts_and_the_second_is_not_lost() -> None:
    reading = read_vitals([{"name": "HR", "value": 96}, {"name": "Heart rate", "value": 120}])
    assert reading == VitalsReading(Vitals(pulse_bpm=Vital(96, "96")), ("Heart rate: 120",))


@pytest.mark.parametrize("nothing", [None, True, False, math.nan, math.inf, "", "  ", []])
def test_what_measures_nothing_is_left_out(nothing: object) -> None:
    assert weight(nothing) == NOTHING


@pytest.mark.parametrize("group", [None, [], {}])
def test_no_group_is_no_vitals(group: object) -> None:
    assert read_vitals(group) == NOTHING


@pytest.mark.parametrize("group", ["x", 7, True, ["x"]])
def test_another_shape_is_unreadable(group: object) -> None:
    with pytest.raises(UnreadableField):
        read_vitals(group)


def test_an_implausible_value_is_kept() -> None:
    reading = weight("5000 kg")
    assert reading.vitals is not None
    assert reading.vitals.implausible() == ("weight_kg",)
