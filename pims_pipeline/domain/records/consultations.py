"""What a consultation holds, and which of its numbers are plausible.

Add rules here that hold for every vendor: plausible vitals, Fahrenheit readings, SOAP headings.
Parsing of a vendor's markup belongs in its adapter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pims_pipeline.domain.records.appointments import Patient, patient_payload
from pims_pipeline.domain.records.oddities import Oddities
from pims_pipeline.domain.records.shapes import Shapes

PLAUSIBLE_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature_c": (32.0, 43.0),
    "weight_kg": (0.02, 1200.0),
    "pulse_bpm": (20.0, 350.0),
    "respiration_bpm": (4.0, 200.0),
}
FAHRENHEIT_RANGE = (90.0, 110.0)
"""Temperatures of living animals in Fahrenheit; none of them is possible in Celsius."""
KG_PER_LB = 0.45359237


@dataclass(frozen=True, slots=True)
class Vital:
    """One measured value.

    Attributes:
        value: In the unit of its field (°C, kg, beats or breaths per minute).
        raw_value: As the vendor sent it.
        raw_unit: As the vendor sent it, if it did.
    """

    value: float
    raw_value: str
    raw_unit: str | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """The vital signs of a consultation; a value that was not measured is None."""

    temperature_c: Vital | None = None
    weight_kg: Vital | None = None
    pulse_bpm: Vital | None = None
    respiration_bpm: Vital | None = None

    def implausible(self) -> tuple[str, ...]:
        """The names of implausible values; they are kept and flagged."""
        return tuple(
            name
            for name, (low, high) in PLAUSIBLE_RANGES.items()
            if (vital := getattr(self, name)) is not None and not low <= vital.value <= high
        )


@dataclass(frozen=True, slots=True)
class SoapNotes:
    """Clinical notes by the four SOAP headings; a missing part is empty."""

    subjective: str = ""
    objective: str = ""
    assessment: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PimsConsultation:
    """The consultation of an appointment, normalized from a vendor's response.

    Attributes:
        soap_notes: Set when the notes have SOAP headings.
        notes: The complete notes as plain text.
        patient: As the consultation names it; has the species that calendars lack.
        is_finished: False while the vendor says that its notes are still being written. Part of
            the payload only then, so that other digests do not depend on it.
        oddities: Descriptive fields that could not be read; not part of the payload.
        shapes: What the vendor sent, by path and JSON type; not part of the payload.
    """

    appointment_id: str
    consultation_id: str
    consultation_date: date | None = None
    status: str | None = None
    soap_notes: SoapNotes | None = None
    notes: str | None = None
    vitals: Vitals | None = None
    diagnoses: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    declined_treatments: tuple[str, ...] = ()
    discharge_instructions: str | None = None
    reason: str | None = None
    patient: Patient | None = None
    is_finished: bool = True
    oddities: Oddities = ()
    shapes: Shapes = field(default=(), compare=False, repr=False)


def celsius(value: float, unit: str | None) -> float:
    """A temperature in °C, rounded to 0.01.

    A value from 90 to 110 is Fahrenheit whatever its unit, because no living animal has that
    temperature in Celsius.
    """
    fahrenheit = (unit or "").lstrip("°º ").lower().startswith("f")
    low, high = FAHRENHEIT_RANGE
    if fahrenheit or low <= value <= high:
        return round((value - 32) * 5 / 9, 2)
    return value


def kilograms(value: float, unit: str | None) -> float:
    """A weight in kg, rounded to a gram. A value without a unit is in kg."""
    word = (unit or "kg").strip().lower().rstrip(".")
    if word in {"lb", "lbs", "pound", "pounds"}:
        return round(value * KG_PER_LB, 3)
    if word in {"g", "gram", "grams"}:
        return round(value / 1000, 3)
    if word in {"oz", "ounce", "ounces"}:
        return round(value * KG_PER_LB / 16, 3)
    return value


_HEADINGS = {
    "s": "subjective",
    "subjective": "subjective",
    "o": "objective",
    "objective": "objective",
    "a": "assessment",
    "assessment": "assessment",
    "p": "plan",
    "plan": "plan",
}
_HEADINGS_OF_A_RECORD = 2
# Lines may hold non-breaking spaces and end in a carriage return. A "P:" with only a number
# after it is the pulse of a "T: … P: … R: …" block, not a plan.
_HEADING = re.compile(
    r"""
    ^[^\S\n]* (?:
        (subjective|objective|assessment|plan) [^\S\n]* (?: [:.\-–][^\S\n]* | $ )
      | (?! P [^\S\n]* [:)] [^\S\n]* [0-9]+ [^\S\n]* (?:bpm|/min)? [^\S\n]* $ )
        ([SOAP]) (?: [^\S\n]* [:)] [^\S\n]* | [^\S\n]+ [\-–] [^\S\n]+ | [^\S\n]* $ )
    )
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def split_soap(text: str) -> SoapNotes | None:
    """The notes by their SOAP headings; None when they have fewer than two.

    A heading starts a line: a letter with a colon or bracket, or the word. A single heading is
    more often prose than structure ("Plan: see Tuesday"). No word is lost: text before the first
    heading joins the subjective part, and repeated headings are joined.
    """
    found = list(_HEADING.finditer(text))
    # The pattern ignores case by Unicode's rules, by which "ſ" matches "s".
    names = [_HEADINGS[(match[1] or match[2]).casefold()] for match in found]
    if len(set(names)) < _HEADINGS_OF_A_RECORD:
        return None
    parts: dict[str, list[str]] = {name: [] for name in _HEADINGS.values()}
    parts["subjective"].append(text[: found[0].start()])
    ends = [match.start() for match in found[1:]] + [len(text)]
    for name, match, end in zip(names, found, ends, strict=True):
        parts[name].append(text[match.end() : end])
    return SoapNotes(
        **{
            name: "\n".join(piece.strip() for piece in pieces if piece.strip())
            for name, pieces in parts.items()
        }
    )


def consultation_payload(consultation: PimsConsultation) -> dict[str, Any]:
    """The consultation as JSON-ready values, keys in camelCase."""
    soap = consultation.soap_notes
    vitals = consultation.vitals
    day = consultation.consultation_date
    unfinished: dict[str, Any] = {} if consultation.is_finished else {"finished": False}
    return {
        **unfinished,
        "appointmentId": consultation.appointment_id,
        "consultationId": consultation.consultation_id,
        "consultationDate": day.isoformat() if day else None,
        "status": consultation.status,
        "soapNotes": {
            "subjective": soap.subjective,
            "objective": soap.objective,
            "assessment": soap.assessment,
            "plan": soap.plan,
        }
        if soap
        else None,
        "notes": consultation.notes,
        "vitals": {
            "temperatureC": _vital_payload(vitals.temperature_c),
            "weightKg": _vital_payload(vitals.weight_kg),
            "pulseBpm": _vital_payload(vitals.pulse_bpm),
            "respirationBpm": _vital_payload(vitals.respiration_bpm),
            "implausible": list(vitals.implausible()),
        }
        if vitals
        else None,
        "diagnoses": list(consultation.diagnoses),
        "treatments": list(consultation.treatments),
        "declinedTreatments": list(consultation.declined_treatments),
        "dischargeInstructions": consultation.discharge_instructions,
        "reason": consultation.reason,
        "patient": patient_payload(consultation.patient) if consultation.patient else None,
    }


def _vital_payload(vital: Vital | None) -> dict[str, Any] | None:
    if vital is None:
        return None
    # Adding zero turns minus zero into zero: they are equal, but serialize differently.
    return {"value": vital.value + 0.0, "rawValue": vital.raw_value, "rawUnit": vital.raw_unit}
