"""Made-up consultations: notes, vitals, diagnoses and lines, all from a seed.

``generation`` and ``calendar`` decide which appointments have a consultation; a vendor's ``wire``
how it looks in JSON.
"""

import html
import random
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pims_pipeline.simulator.practice import vocabulary as words
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.practice.generation import seeded

VitalsShape = Literal["object", "list", "none"]
_CELSIUS_TO_FAHRENHEIT = 1.8
_POUNDS_PER_KG = 2.2046226


@dataclass(frozen=True, slots=True)
class Vitals:
    """The measurements, in the units of the clinic's instruments."""

    temperature: float
    temperature_unit: Literal["C", "F"]
    pulse: int
    respiration: int
    weight: float
    weight_unit: Literal["kg", "lb"]


@dataclass(frozen=True, slots=True)
class Line:
    """A product or service; a declined one was offered and refused."""

    id: int
    product: str
    quantity: float
    declined: bool


class Soap(NamedTuple):
    """The four parts of a consultation's notes."""

    subjective: str
    objective: str
    assessment: str
    plan: str


@dataclass(frozen=True, slots=True)
class Consultation:
    """The whole content of a consultation.

    Attributes:
        soap: The parts of made-up notes as plain text; ``None`` for notes that a person wrote.
        diagnoses: Names with their codes; ``None`` where the vendor's page has no such part.
        discharge: HTML for the owner, if any was written.
    """

    notes_html: str
    soap: Soap | None
    vitals: Vitals | None
    vitals_shape: VitalsShape
    diagnoses: tuple[tuple[str, str | None], ...] | None
    diagnoses_are_objects: bool
    lines: tuple[Line, ...]
    discharge: str | None


def make_consultation(seed: int, company_id: str, entry: Entry, *, imperial: bool) -> Consultation:
    """The consultation of ``entry``; notes that a person wrote replace the made-up ones."""
    # Another word in the seed would make up other consultations.
    rng = seeded(seed, company_id, "appointment", entry.id, *[entry.former] * bool(entry.former))
    soap = _soap(rng)
    generated = _notes(rng, soap)
    shapes: tuple[VitalsShape, ...] = ("object", "list", "none")
    shape = rng.choices(shapes, (50, 40, 10))[0]
    return Consultation(
        notes_html=generated if entry.notes_html is None else entry.notes_html,
        soap=soap if entry.notes_html is None else None,
        vitals=None if shape == "none" else _vitals(rng, entry, imperial=imperial),
        vitals_shape=shape,
        diagnoses=_diagnoses(rng),
        diagnoses_are_objects=rng.random() < 0.5,  # noqa: PLR2004 - half of them
        lines=_lines(rng, entry),
        discharge=_discharge(rng, entry),
    )


def _soap(rng: random.Random) -> Soap:
    place = rng.randrange(len(words.SUBJECTIVE))
    return Soap(
        subjective=words.SUBJECTIVE[place],
        objective=rng.choice(words.OBJECTIVE),
        assessment=words.ASSESSMENT[place],
        plan=words.PLAN[place],
    )


def _notes(rng: random.Random, soap: Soap) -> str:
    """SOAP notes as vets write them: headed by letters or words, or not at all."""
    subjective, objective, assessment, plan = (html.escape(text, quote=False) for text in soap)
    layouts = (
        (
            f"<p><b>S:</b> {subjective}</p><p><b>O:</b> {objective}</p>"
            f"<p><b>A:</b> {assessment}</p><p><b>P:</b> {plan}</p>"
        ),
        (
            f"<h3>Subjective</h3><p>{subjective}</p><h3>Objective</h3><p>{objective}</p>"
            f"<h3>Assessment</h3><p>{assessment}</p><h3>Plan</h3><p>{plan}</p>"
        ),
        (
            f"<div><strong>SUBJECTIVE:</strong>&nbsp;{subjective}<br/>"
            f"<strong>OBJECTIVE:</strong>&nbsp;<ul><li>{objective}</li><li>Weight stable</li></ul>"
            f"<strong>ASSESSMENT:</strong>&nbsp;<em>{assessment}</em><br>"
            f"<strong>PLAN:</strong>&nbsp;<span>{plan}</span></div>"
        ),
        f"<p>{subjective} {objective}</p><p>{assessment} {plan}</p>",
        f"S - {subjective}<br>O - {objective}<br>A - {assessment}<br>P - {plan}",
        f'<p style="color:#333">S: {subjective}</p><p>P: {plan} &mdash; owner happy &#128062;</p>',
    )
    return rng.choices(layouts, (34, 18, 14, 14, 12, 8))[0]


def _vitals(rng: random.Random, entry: Entry, *, imperial: bool) -> Vitals:
    """Measurements that are plausible for the animal, in a mix of units."""
    weight_kg = (entry.patient.weight_kg if entry.patient else 10.0) * rng.uniform(0.97, 1.03)
    temperature_c = rng.gauss(38.6, 0.35)
    in_fahrenheit = rng.random() < (0.85 if imperial else 0.1)
    in_pounds = rng.random() < (0.85 if imperial else 0.05)
    temperature = temperature_c * _CELSIUS_TO_FAHRENHEIT + 32 if in_fahrenheit else temperature_c
    weight = weight_kg * _POUNDS_PER_KG if in_pounds else weight_kg
    return Vitals(
        temperature=round(temperature, 1),
        temperature_unit="F" if in_fahrenheit else "C",
        pulse=rng.randint(70, 180),
        respiration=rng.randint(14, 44),
        weight=round(weight, 3),
        weight_unit="lb" if in_pounds else "kg",
    )


def _diagnoses(rng: random.Random) -> tuple[tuple[str, str | None], ...] | None:
    how_many = rng.choices((None, 0, 1, 2), (25, 15, 45, 15))[0]
    return None if how_many is None else tuple(rng.sample(words.DIAGNOSES, how_many))


def _lines(rng: random.Random, entry: Entry) -> tuple[Line, ...]:
    products = rng.sample(words.PRODUCTS, rng.randint(0, 4))
    return tuple(
        Line(
            id=entry.id * 10 + place,
            product=product,
            quantity=rng.choice((1, 1, 1, 2, 0.5)),
            declined=rng.random() < 0.18,  # noqa: PLR2004 - owners refuse some
        )
        for place, product in enumerate(products)
    )


def _discharge(rng: random.Random, entry: Entry) -> str | None:
    if rng.random() < 0.55:  # noqa: PLR2004 - fewer than half get a letter
        return rng.choice((None, ""))
    name = entry.patient.name if entry.patient else "your pet"
    return rng.choice(words.DISCHARGES).format(name=html.escape(name, quote=False))
