"""Numbers and units as they are typed: "12 lb 4 oz", "12#", "101,4", "38.5℃". Pure.

Which vital sign a measurement belongs to, and its units, are in ``vitals``.
"""

import math
import re
from dataclasses import dataclass

_SIGNS = str.maketrans({"℃": "°C", "℉": "°F", "㎏": "kg", "＃": "#", "．": ".", "，": ","})
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:,\d{3}){0,3}(?:[.,]\d{1,20})?")
_UNIT = re.compile(r"\s*([^\d\s,;/(\[][^\d,;/()\[\]]{0,19})?")
_AMBIGUOUS_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_JOINT = re.compile(r"\s*(?:,|and\b|&)?\s*", re.IGNORECASE)
_REPETITION = re.compile(r"\s*[/(\[=]\s*")
_END = re.compile(r"\s*[)\]]?\s*")
_PER_MINUTE = re.compile(r"\s*/\s*min(?:ute)?\.?\s*", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[]([^)\]]*)[)\]]?")
_MAX_QUANTITIES = 2
_LONGEST = 200

_TEMPERATURE_UNIT = re.compile(r"(?:deg(?:ree)?s?|[°º˚])?\s*(f|c)?(?:ahrenheit|elsius)?")
_WEIGHT_UNITS = {
    "": "",
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds", "#"), "lb"),
    **dict.fromkeys(("g", "gm", "gms", "gr", "grs", "gram", "grams"), "g"),
    **dict.fromkeys(("oz", "ozs", "ounce", "ounces"), "oz"),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and the unit written beside it.

    Attributes:
        is_repetition: Whether it is in brackets or behind a slash, like the same weight in another
            unit.
    """

    number: float
    unit: str | None = None
    is_repetition: bool = False


def quantities(written: str) -> tuple[Quantity, ...]:
    """The one or two quantities that ``written`` consists of; empty when it is anything else.

    ``1,200`` may mean 1200 or 1.2, so it is not read.
    """
    text = written.translate(_SIGNS).strip()
    if len(text) > _LONGEST:
        return ()
    found: list[Quantity] = []
    place = 0
    is_repetition = False
    while len(found) < _MAX_QUANTITIES:
        match = _NUMBER.match(text, place)
        number = _number(match[0]) if match else None
        if match is None or number is None:
            return ()
        beside = _UNIT.match(text, match.end())
        unit = (beside[1] or "").strip() if beside else ""
        # "12 lb and 4 oz": the joint is no part of the unit.
        unit = re.sub(r"\s+(?:and|&)$", "", unit, flags=re.IGNORECASE)
        found.append(Quantity(number, unit or None, is_repetition))
        place = beside.end() if beside else match.end()
        rest = _PER_MINUTE.match(text, place)
        if rest and rest.end() == len(text) and not unit:
            return (*found[:-1], Quantity(number, "/min", is_repetition))
        end = _END.match(text, place)
        if end and end.end() == len(text):
            return tuple(found)
        repetition = _REPETITION.match(text, place)
        joint = repetition or _JOINT.match(text, place)
        is_repetition = repetition is not None
        place = joint.end() if joint else place
    return ()


def _number(digits: str) -> float | None:
    """``101,4`` or ``1,200.5`` as a number; None when it is ambiguous or none."""
    if _AMBIGUOUS_COMMA.fullmatch(digits):
        return None
    plain = digits.replace(",", "") if "." in digits else digits.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def bracketed_unit(name: str) -> str | None:
    """The unit in a name such as ``Temperature (°F)``."""
    bracketed = _BRACKETED.search(name[:_LONGEST])
    return (bracketed[1].strip() or None) if bracketed else None


def temperature_unit(unit: str | None) -> str | None:
    """``f``, ``c``, or empty when none is given; None when it is no unit of temperature."""
    known = _TEMPERATURE_UNIT.fullmatch(_word(unit))
    return (known[1] or "") if known else None


def weight_unit(unit: str | None) -> str | None:
    """``kg``, ``lb``, ``g``, ``oz``, or empty when none is given; None when it is none of them."""
    return _WEIGHT_UNITS.get(_word(unit))


def _word(unit: str | None) -> str:
    return (unit or "").translate(_SIGNS).strip().lower().rstrip(".")
