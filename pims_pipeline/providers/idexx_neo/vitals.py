"""Vital signs in the vendor's two shapes. Pure.

A measurement that is not a number ("QNS", ">40", a range) is never guessed at: it is
handed back in words, which ``parsing`` keeps at the end of the consultation's notes.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pims_pipeline.domain.consultations import Vital, Vitals, celsius, kilograms
from pims_pipeline.providers.idexx_neo.fields import (
    UnreadableField,
    as_mapping,
    as_text,
    is_number,
)

_FIELD_OF_NAME = {
    "temperature": "temperature_c",
    "temp": "temperature_c",
    "body temperature": "temperature_c",
    "weight": "weight_kg",
    "body weight": "weight_kg",
    "wt": "weight_kg",
    "pulse": "pulse_bpm",
    "pulse rate": "pulse_bpm",
    "heart rate": "pulse_bpm",
    "hr": "pulse_bpm",
    "respiration": "respiration_bpm",
    "respirations": "respiration_bpm",
    "respiration rate": "respiration_bpm",
    "respiratory rate": "respiration_bpm",
    "resp": "respiration_bpm",
    "rr": "respiration_bpm",
}
_OBJECT_FIELDS = {
    "temperature": "temperatureUnit",
    "weight": "weightUnit",
    "pulse": "pulseUnit",
    "respiration": "respirationUnit",
}
_TEMPERATURE_UNIT = re.compile(r"(?:deg(?:ree)?s?|[°º˚])?\s*(f|c)?(?:ahrenheit|elsius)?")
_WEIGHT_UNITS = {
    "": None,
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("g", "gm", "gms", "gram", "grams"), "g"),
    **dict.fromkeys(("oz", "ounce", "ounces"), "oz"),
}
_NUMBER_AND_UNIT = re.compile(r"([+-]?\d{1,9}(?:,\d{3})*(?:[.,]\d{1,20})?)\s*([^\d\s][^\d]{0,19})?")
_AMBIGUOUS_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_BRACKETED = re.compile(r"[(\[]([^)\]]*)[)\]]?")


@dataclass(frozen=True, slots=True)
class VitalsReading:
    """What could be read: the numbers, and what was said in words instead."""

    vitals: Vitals | None
    in_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Measurement:
    name: str
    value: object
    unit: str | None


def read_vitals(group: object) -> VitalsReading:
    """The vital signs in ``vitalSignGroup``: an object, a list of measurements, or nothing.

    The first number for a vital sign counts; later ones, and signs we keep no number
    for, are handed back in words.

    Raises:
        UnreadableField: If the group has neither shape.
    """
    numbers: dict[str, Vital] = {}
    words: list[str] = []
    for measurement in _measurements(group):
        field = _FIELD_OF_NAME.get(_plain(measurement.name))
        vital = _vital(field, measurement) if field else None
        if field and vital and field not in numbers:
            numbers[field] = vital
        elif said := _in_words(measurement):
            words.append(said)
    return VitalsReading(Vitals(**numbers) if numbers else None, tuple(words))


def _measurements(group: object) -> Iterator[_Measurement]:
    field = "vitalSignGroup"
    if group is None:
        return
    if isinstance(group, Mapping):
        for name, unit_name in _OBJECT_FIELDS.items():
            yield _Measurement(name, group.get(name), as_text(group.get(unit_name), unit_name))
    elif isinstance(group, list):
        for item in group:
            entry = as_mapping(item, field)
            name = as_text(entry.get("name"), f"{field}.name") or "unnamed"
            unit = as_text(entry.get("unit"), f"{field}.unit")
            if unit is None and (bracketed := _BRACKETED.search(name)):
                unit = bracketed[1].strip() or None
            yield _Measurement(name, entry.get("value"), unit)
    else:
        raise UnreadableField(field, "is neither an object nor a list")


def _plain(name: str) -> str:
    return " ".join(_BRACKETED.sub("", name).replace("_", " ").replace(".", "").lower().split())


def _in_words(measurement: _Measurement) -> str | None:
    """The measurement as a person would write it; None when nothing was measured."""
    value = measurement.value
    if isinstance(value, bool) or (not is_number(value) and not isinstance(value, str)):
        return None
    said = as_text(value, "value")
    unit = f" {measurement.unit}" if measurement.unit else ""
    return f"{measurement.name}: {said}{unit}" if said else None


def _vital(field: str, measurement: _Measurement) -> Vital | None:
    value = measurement.value
    if not is_number(value) and not isinstance(value, str):
        return None
    raw = as_text(value, field) or ""
    number, written_unit = _number_and_unit(raw)
    if number is None:
        return None
    unit = written_unit or measurement.unit
    converted = _converted(field, number, unit)
    return None if converted is None else Vital(converted, raw, unit)


def _number_and_unit(raw: str) -> tuple[float | None, str | None]:
    """``12.3 lb``, ``101,4`` or ``1,200.5`` as a number and the unit beside it.

    ``1,200`` may be a thousand or one and a fifth; it is not guessed at. The number is
    None when there is none, or none that a float can hold.
    """
    match = _NUMBER_AND_UNIT.fullmatch(raw)
    if match is None or _AMBIGUOUS_COMMA.fullmatch(match[1]):
        return None, None
    digits = match[1]
    digits = digits.replace(",", "") if "." in digits else digits.replace(",", ".")
    try:
        number = float(digits)
    except ValueError:
        return None, None
    return (number if math.isfinite(number) else None), (match[2] or "").strip() or None


def _converted(field: str, number: float, unit: str | None) -> float | None:
    """The number in the field's own unit; None when the unit is not one of its units."""
    word = (unit or "").strip().lower().rstrip(".")
    if field == "temperature_c":
        known = _TEMPERATURE_UNIT.fullmatch(word)
        return celsius(number, known[1]) if known else None
    if field == "weight_kg":
        return kilograms(number, _WEIGHT_UNITS[word]) if word in _WEIGHT_UNITS else None
    return number
