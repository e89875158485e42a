"""Measurements as vital signs: which unit they have, and whether it is one of the field's. Pure.

Nothing is guessed: what is no number, or has a unit that the field does not know, is no vital sign.
Typed numbers and units belong in ``measurements``; where a vendor has its vital signs, in its
adapter.
"""

from pims_pipeline.domain.records.consultations import Vital, celsius, kilograms
from pims_pipeline.providers.parsing.measurements import (
    Quantity,
    quantities,
    temperature_unit,
    weight_unit,
)

_SAME_MEASUREMENT = 0.02
"""How far a value and its repetition in another unit may lie apart: both are rounded."""
_PARTS_OF_A_WEIGHT = (["lb", "oz"], ["kg", "g"])


def vital_in(field: str, written: str, unit: str | None) -> Vital | None:
    """The measurement ``written`` as a vital sign; None where its meaning is uncertain.

    A value may be repeated in another unit: ``12.5 lb (5.67 kg)``. The first one counts when
    the two agree.

    Args:
        field: The name of the field of ``Vitals``.
        written: The value as the vendor sent it.
        unit: The unit beside it; one inside ``written`` takes precedence.
    """
    found = quantities(written)
    number = _converted(field, found, unit)
    return None if number is None else Vital(number, written, found[0].unit or unit)


def measures_nothing(written: str) -> bool:
    """Whether ``written`` is empty or zero: how forms say that nothing was measured."""
    found = quantities(written)
    return not written or bool(found and not any(each.number for each in found))


def _converted(field: str, found: tuple[Quantity, ...], unit: str | None) -> float | None:
    """The measurement in the field's own unit."""
    values = [_in_field_unit(field, each, unit) for each in found]
    first = values[0] if values else None
    if first is None or len(values) == 1:
        return first
    second = values[1]
    if second is None or not all(each.unit for each in found):
        return None
    if found[1].is_repetition:
        agree = abs(first - second) <= _SAME_MEASUREMENT * max(abs(first), abs(second))
        return first if agree else None
    parts = [weight_unit(each.unit) for each in found]
    return (
        round(first + second, 3) if field == "weight_kg" and parts in _PARTS_OF_A_WEIGHT else None
    )


def _in_field_unit(field: str, quantity: Quantity, unit: str | None) -> float | None:
    """A quantity in the field's own unit; None when its unit is not one of the field's."""
    if field == "temperature_c":
        word = temperature_unit(quantity.unit or unit)
        return None if word is None else celsius(quantity.number, word or None)
    if field == "weight_kg":
        word = weight_unit(quantity.unit or unit)
        return None if word is None else kilograms(quantity.number, word or None)
    return quantity.number
