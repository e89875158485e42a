"""Reading single values of the vendor's JSON: identities, words, flags, moments.

Each function takes what the JSON held and gives a clean Python value, or raises
``UnreadableField`` naming the field and the problem, never its content: the message
ends in logs. What a whole record means is decided in ``parsing``.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import local_to_utc

MAX_IDENTITY_LENGTH = 128
"""Longer than any vendor's identity, and short enough for a database index."""

_T = TypeVar("_T")
_TRUE = ("1", "true")
_FALSE = ("", "0", "false")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}")


class UnreadableField(Exception):
    """A field's value is not of the kind the vendor promises."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field '{field}' {problem}")


def storable(text: str) -> str:
    """``text`` without what PostgreSQL cannot store.

    NUL characters are left out, lone surrogates (half an emoji) become U+FFFD, and
    white space at the ends goes.
    """
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", "")).strip()


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number; JSON's true and false are not."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def as_text(value: object, field: str) -> str | None:
    """The words in ``value``; None when there are none. Numbers become their digits.

    An object that carries a ``name`` stands for that name: the vendor sends species,
    providers and products in both shapes.
    """
    if isinstance(value, Mapping) and "name" in value:
        value = value["name"]
    if value is None:
        return None
    if isinstance(value, str):
        return storable(value) or None
    if is_number(value):
        return str(value)
    raise UnreadableField(field, "is neither text nor a number")


def as_identity(value: object, field: str) -> str | None:
    """The identity in ``value``, the same for ``7``, ``7.0`` and ``"7"``; None when empty."""
    if isinstance(value, Mapping):
        raise UnreadableField(field, "is an object, not an identity")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    identity = as_text(value, field)
    if identity is not None and len(identity) > MAX_IDENTITY_LENGTH:
        raise UnreadableField(field, f"is longer than {MAX_IDENTITY_LENGTH} characters")
    return identity


def as_flag(value: object, field: str) -> bool:
    """The boolean in ``value``: true/false, 1/0, or either as text; missing means false."""
    word = "" if value is None else str(value).strip().lower()
    if word in _TRUE or value == 1:
        return True
    if word in _FALSE or value == 0:
        return False
    raise UnreadableField(field, "is not a yes-or-no value")


def as_moment(value: object, zone: ZoneInfo, field: str) -> datetime | None:
    """The moment in ``value``, aware UTC; None when empty.

    The vendor sends wall-clock times of the clinic without a zone; a time that carries
    an offset all the same is taken at its word.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _LOCAL_TIME.match(value.strip()):
        raise UnreadableField(field, "is not a date and time (YYYY-MM-DD HH:MM:SS)")
    try:
        parsed = datetime.fromisoformat(value.strip())
        return parsed.astimezone(UTC) if parsed.tzinfo else local_to_utc(parsed, zone)
    except (ValueError, OverflowError):
        problem = "is not a date and time that exists"
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
    """The list in ``value``; a missing one is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableField(field, "is not a list")
    return value
