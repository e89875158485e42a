"""Vital signs of an encounter. Pure.

The vendor names no unit of the temperature; plausibility decides, and the raw value is kept. The
first number of each vital sign counts; later ones, and what is no number, are returned in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pims_pipeline.domain.records.consultations import Vital, Vitals
from pims_pipeline.providers.parsing.fields import Fields, as_text
from pims_pipeline.providers.parsing.vitals import measures_nothing, vital_in

_FIELDS: Mapping[str, str] = {
    "temp": "temperature_c",
    "weight": "weight_kg",
    "heartRate": "pulse_bpm",
    "respRate": "respiration_bpm",
}
_UNITS: Mapping[str, str] = {"weight": "weightUnit"}


@dataclass(frozen=True, slots=True)
class EncounterVitals:
    """The vital signs, as far as they can be read.

    Attributes:
        vitals: The numbers; None when there are none.
        in_words: Measurements that are words instead of numbers, and repeated ones.
    """

    vitals: Vitals | None
    in_words: tuple[str, ...] = ()


def read_vitals(fields: Fields) -> EncounterVitals:
    """The vital signs in ``vitals``: one object, or a list of them."""
    numbers: dict[str, Vital] = {}
    words: list[str] = []
    for item in fields.items("vitals", alone=tuple(_FIELDS)):
        measured = fields.of_item(item, "vitals")
        for name, field in _FIELDS.items() if measured else ():
            written = measured.lenient(name, as_text) if measured else None
            if measured is None or written is None or measures_nothing(written):
                continue
            unit = measured.text(_UNITS[name]) if name in _UNITS else None
            vital = vital_in(field, written, unit)
            if vital is not None and field not in numbers:
                numbers[field] = vital
            else:
                words.append(f"{name}: {written}{f' {unit}' if unit else ''}")
    return EncounterVitals(Vitals(**numbers) if numbers else None, tuple(words))
