"""Vital signs in the vendor's two shapes. Pure.

A measurement that is not a number ("QNS", ">40", a range) is not guessed: it is returned in words,
which ``consultation`` adds to the consultation's notes. Zero is how the vendor's forms say that
nothing was measured. What a measurement means belongs in ``providers/parsing/vitals``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pims_pipeline.domain.records.consultations import Vital, Vitals
from pims_pipeline.providers.parsing.fields import is_number, storable
from pims_pipeline.providers.parsing.measurements import bracketed_unit
from pims_pipeline.providers.parsing.vitals import measures_nothing, vital_in

GROUP = "vitalSignGroup"
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


@dataclass(frozen=True, slots=True)
class VitalsReading:
    """The vital signs of a consultation, as far as they can be read.

    Attributes:
        vitals: The numbers; None when there are none.
        in_words: Measurements that are words instead of numbers.
        oddities: Paths and values of fields whose shape the vendor does not promise.
    """

    vitals: Vitals | None
    in_words: tuple[str, ...] = ()
    oddities: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class _Measurement:
    name: str
    value: object
    unit: str | None


def read_vitals(group: object) -> VitalsReading:
    """The vital signs in ``vitalSignGroup``: an object, a list of measurements, or nothing.

    The first number of a vital sign counts; later ones, and vital signs without a field of their
    own, are returned in words.
    """
    numbers: dict[str, Vital] = {}
    words: list[str] = []
    oddities: list[tuple[str, object]] = []
    for measurement in _measurements(group, oddities):
        value = measurement.value
        if not isinstance(value, str) and not is_number(value):
            continue
        written = storable(str(value))
        if measures_nothing(written):
            continue
        field = _FIELD_OF_NAME.get(_plain(measurement.name))
        vital = vital_in(field, written, measurement.unit) if field else None
        if field and vital is not None and field not in numbers:
            numbers[field] = vital
        else:
            unit_word = f" {measurement.unit}" if measurement.unit else ""
            words.append(f"{measurement.name}: {written}{unit_word}")
    return VitalsReading(Vitals(**numbers) if numbers else None, tuple(words), tuple(oddities))


def _measurements(group: object, oddities: list[tuple[str, object]]) -> Iterator[_Measurement]:
    if isinstance(group, Mapping) and not _is_list_with_gaps(group):
        for name, unit_name in _OBJECT_FIELDS.items():
            value = _checked(group.get(name), f"{GROUP}.{name}", oddities)
            unit = _word(group.get(unit_name), f"{GROUP}.{unit_name}", oddities)
            yield _Measurement(name, value, unit)
        return
    entries = list(group.values()) if isinstance(group, Mapping) else group
    if not isinstance(entries, list):
        if entries is not None:
            oddities.append((GROUP, entries))
        return
    for entry in entries:
        if not isinstance(entry, Mapping):
            oddities.append((f"{GROUP}[]", entry))
            continue
        name = _word(entry.get("name"), f"{GROUP}[].name", oddities) or "unnamed"
        unit = _word(entry.get("unit"), f"{GROUP}[].unit", oddities) or bracketed_unit(name)
        value = _checked(entry.get("value"), f"{GROUP}[].value", oddities)
        yield _Measurement(name, value, unit)


def _is_list_with_gaps(group: Mapping[str, object]) -> bool:
    """Whether the object is a list with gaps, as the vendor's backend writes it."""
    return bool(group) and all(str(key).isdecimal() for key in group)


def _checked(value: object, path: str, oddities: list[tuple[str, object]]) -> object:
    """``value``; a shape that is neither a measurement nor "none" is counted as odd."""
    is_none = value is None or value is False
    if not is_none and not isinstance(value, str) and not is_number(value):
        oddities.append((path, value))
    return value


def _word(value: object, path: str, oddities: list[tuple[str, object]]) -> str | None:
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        value = value["name"]
    if isinstance(value, str):
        return storable(value) or None
    _checked(value, path, oddities)
    return str(value) if is_number(value) and value != 0 else None


def _plain(name: str) -> str:
    bare = name.partition("(")[0].partition("[")[0]
    return " ".join(bare.replace("_", " ").replace(".", "").lower().split())
