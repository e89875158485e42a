"""Reading single values of the vendor's JSON: identities, texts, flags, timestamps.

The ``as_…`` functions are strict and read the fields that decide about a record: each returns a
clean value or raises ``UnreadableField``. Its message names the field and the problem, never the
content, because it ends in logs. ``Fields`` reads the fields that only describe a record: an odd
value becomes None and is counted. What a record means belongs in an adapter.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import local_to_utc
from pims_pipeline.domain.records.oddities import FieldOddity

MAX_WORDS_LENGTH = 2_000
"""Characters of a name, a status or another short text; the rest is cut off."""
MAX_ITEMS = 1_000
"""Entries of a list inside one record; the rest is left out."""
MAX_IDENTITY_LENGTH = 128
"""Longer than any identity of the vendor, and short enough for a database index."""

_T = TypeVar("_T")
_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("", "0", "false", "f", "no", "n", "off")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}")
_END_OF_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})([ T])24:00(?::00(?:\.0+)?)?(.*)", re.DOTALL)
_ZERO_DATE = re.compile(r"0000-00-00(?:[ T][0:.]*Z?)?")
_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (Mapping, "object"),
)


class UnreadableField(Exception):
    """A field's value is not of the kind the vendor promises."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field '{field}' {problem}")


def storable(text: str) -> str:
    """``text`` without what PostgreSQL cannot store.

    NUL characters are removed, lone surrogates (half an emoji) become U+FFFD, and white space
    at both ends is removed.
    """
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", "")).strip()


def json_type(value: object) -> str:
    """The JSON name of the type of ``value``."""
    return next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), "null")


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number; JSON's true and false are not."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def is_none(value: object) -> bool:
    """Whether ``value`` is one of the ways in which the vendor writes "none"."""
    if value is None or value is False or value == 0:
        return True
    if isinstance(value, str):
        word = storable(value)
        return word in {"", "0"} or _ZERO_DATE.fullmatch(word) is not None
    return isinstance(value, list | Mapping) and not value


def as_text(value: object, field: str) -> str | None:
    """The text in ``value``; None when there is none. Numbers become their digits.

    An object with a ``name`` gives that name: the vendor sends species, providers and products
    in both shapes.
    """
    if isinstance(value, Mapping) and "name" in value:
        value = value["name"]
    if value is None:
        return None
    if isinstance(value, str):
        return storable(value) or None
    if is_number(value):
        return _digits(value)
    raise UnreadableField(field, "is neither text nor a number")


def _digits(number: object) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number too long to write"


def as_identity(value: object, field: str) -> str | None:
    """The identity in ``value``, the same for ``7``, ``7.0``, ``"7"`` and ``" 7 "``.

    None when there is none: ``0``, ``"0"``, ``""``, ``false``, ``[]`` and ``{}`` name no record.
    """
    if is_none(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not (isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))):
        raise UnreadableField(field, f"is of type {json_type(value)}, not an identity")
    identity = storable(value) if isinstance(value, str) else _digits(value)
    if len(identity) > MAX_IDENTITY_LENGTH or (isinstance(value, int) and " " in identity):
        raise UnreadableField(field, f"is longer than {MAX_IDENTITY_LENGTH} characters")
    return identity


def as_flag(value: object, field: str) -> bool:
    """The boolean in ``value``.

    True: ``true``, ``1``, and the words 1, true, t, yes, y, on. False: everything that means
    "none", and the words 0, false, f, no, n, off. Words in any case.
    """
    if is_none(value):
        return False
    if isinstance(value, str) or value is True or (is_number(value) and value == 1):
        word = "1" if value == 1 else str(value).strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise UnreadableField(field, "is not a yes-or-no value")


def as_timestamp(value: object, zone: ZoneInfo, field: str) -> datetime | None:
    """The timestamp in ``value``, aware UTC; None when empty.

    The vendor sends local times of the clinic without a zone; an offset is used if there is one.
    ``24:00`` is no time of day here, in any version of Python: see ``as_end``.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _LOCAL_TIME.match(value.strip()):
        raise UnreadableField(field, "is not a date and time (YYYY-MM-DD HH:MM:SS)")
    try:
        if _END_OF_DAY.fullmatch(value.strip()) is None:
            parsed = datetime.fromisoformat(value.strip())
            return parsed.astimezone(UTC) if parsed.tzinfo else local_to_utc(parsed, zone)
    except (ValueError, OverflowError):
        pass
    problem = "is not a date and time that exists"
    raise UnreadableField(field, problem)


def as_end(value: object, zone: ZoneInfo, field: str) -> datetime | None:
    """``as_timestamp`` of an end, which may be ``24:00:00``: midnight of the next day."""
    match = _END_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return as_timestamp(value, zone, field)
    try:
        next_day = datetime.fromisoformat(match[1]).date() + timedelta(days=1)
    except (ValueError, OverflowError):
        problem = "is not a date and time that exists"
    else:
        return as_timestamp(f"{next_day}{match[2]}00:00:00{match[3]}", zone, field)
    raise UnreadableField(field, problem)


def required(value: _T | None, field: str) -> _T:
    """``value``, which must not be missing."""
    if value is None:
        raise UnreadableField(field, "is missing")
    return value


def as_mapping(value: object, field: str) -> Mapping[str, object]:
    """The object in ``value``; a missing one is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnreadableField(field, "is not an object")
    return value


def as_sequence(value: object, field: str) -> list[object]:
    """The list in ``value``; a missing one is empty.

    The vendor's backend writes a list with gaps as ``{"0": …, "2": …}``.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value and all(_is_place(key) for key in value):
        return [value[key] for key in sorted(value, key=lambda key: (len(key), key))]
    raise UnreadableField(field, "is not a list")


def _is_zero(value: object) -> bool:
    return is_number(value) and value == 0


def _is_place(key: str) -> bool:
    return key.isascii() and key.isdecimal()


@dataclass(frozen=True, slots=True)
class Fields:
    """The descriptive fields of one JSON object; an odd one becomes None and is counted.

    Attributes:
        values: The object.
        path: Its place, for messages: the endpoint and the names of the fields above it.
        odd: Every oddity found so far; shared with the objects inside this one.
    """

    values: Mapping[str, object]
    path: str
    odd: list[FieldOddity] = field(default_factory=list)

    def get(self, name: str) -> object:
        """The value called ``name``, or called so in camelCase where that one is not there."""
        value = self.values.get(name)
        return self.values.get(camel_case(name)) if value is None else value

    def text(self, name: str) -> str | None:
        """The short text called ``name``, cut off where it is not short, which is counted."""
        text = self.words(name)
        if text is None or len(text) <= MAX_WORDS_LENGTH:
            return text
        self.note(name, self.get(name))
        return f"{text[:MAX_WORDS_LENGTH]}…"

    def words(self, name: str) -> str | None:
        """The text called ``name``, however long.

        The number 0 is one of the vendor's ways to write "none".
        """
        return self.lenient(name, lambda value, at: None if _is_zero(value) else as_text(value, at))

    def identity(self, name: str) -> str | None:
        """The identity called ``name``."""
        return self.lenient(name, as_identity)

    def flag(self, name: str) -> bool:
        """Whether the flag called ``name`` is set; an unreadable one is not."""
        return bool(self.lenient(name, as_flag))

    def lenient(self, name: str, read: Callable[[object, str], _T]) -> _T | None:
        """The value called ``name``, read with ``read``; None where that fails."""
        value = self.get(name)
        try:
            return read(value, name)
        except UnreadableField:
            self.note(name, value)
            return None

    def inside(self, name: str) -> "Fields":
        """The object called ``name``; an empty one where there is none."""
        values = self.lenient(name, as_mapping)
        return Fields(values or {}, f"{self.path}.{name}", self.odd)

    def items(self, name: str, *, alone: tuple[str, ...] = ()) -> list[object]:
        """The list called ``name``; an object with one of the fields ``alone`` is one item.

        A list that is too long is cut off and counted.
        """
        value = self.get(name)
        if isinstance(value, Mapping) and any(key in value for key in alone):
            return [value]
        found = self.lenient(name, as_sequence) or []
        if len(found) > MAX_ITEMS:
            self.note(name, value)
        return found[:MAX_ITEMS]

    def of_item(self, item: object, name: str) -> "Fields | None":
        """One item of the list called ``name`` as an object; None when it is none."""
        if isinstance(item, Mapping):
            return Fields(item, f"{self.path}.{name}[]", self.odd)
        self.note(f"{name}[]", item)
        return None

    def note(self, name: str, value: object) -> None:
        """Count that the value called ``name`` was odd."""
        self.odd.append(FieldOddity(f"{self.path}.{name}", json_type(value)))


def camel_case(name: str) -> str:
    """``name``, which is in snake_case, in camelCase; one in camelCase stays as it is."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
