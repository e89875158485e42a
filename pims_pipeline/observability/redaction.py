"""What a log line must never say, and its removal: the last line of defence.

Code that logs is expected to name ids and counts only; this catches what slips through
(a library's message, an exception that quotes its input). It knows field names and
shapes of text, not the pipeline, and it decides nothing about what is logged.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from structlog.typing import EventDict

REDACTED: Final = "[redacted]"

_SECRET_WORDS = frozenset(
    {
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "email",
        "emails",
        "mobile",
        "notes",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "phone",
        "phones",
        "secret",
        "secrets",
        "soap",
        "telephone",
        "token",
        "tokens",
    }
)
"""A field is withheld when any word of its name is one of these."""

_SECRET_NAMES = frozenset(
    {
        "api_key",
        "client",
        "client_name",
        "encryption_key",
        "first_name",
        "key",
        "last_name",
        "owner",
        "owner_name",
        "patient",
        "patient_name",
        "private_key",
        "secret_key",
        "username",
    }
)
"""A field is withheld when its whole name is one of these; ``partition_key`` is not."""

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")

_URL_PASSWORD = re.compile(r"(?P<kept>[A-Za-z][\w+.-]*://[^\s:/@]*:)\S+(?=@)")
_HEADER = re.compile(
    r"(?P<kept>\b(?:(?:proxy-)?authorization|(?:set-)?cookie)[\"']?\s*[:=]\s*).+", re.IGNORECASE
)
_ASSIGNMENT = re.compile(
    r"(?P<kept>\b\w*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key)[\"']?\s*[:=]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<kept>\bbearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_EMAIL = re.compile(r"(?P<kept>)[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_PATTERNS = (_URL_PASSWORD, _HEADER, _ASSIGNMENT, _BEARER, _EMAIL)

_DATE_OR_PHONE = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"  # looks much like a phone number, and is needed
    r"|(?<![\w.:+-])(?:\+|\(\+?)?\d[\d ().-]{6,}\d(?![\w:-])"
)
_PHONE_DIGITS = range(9, 16)
_NOT_A_PHONE = re.compile(r"\d+\.\d+|\d{1,3}(?:\.\d{1,3}){3}")
"""A decimal number, a network address."""

_IDENTITY = re.compile(r"(?:^|_)(?:id|ids|uuid|digest|hash)$")


def redact_event(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The event without what must not be said; a structlog processor."""
    return {name: _clean_field(str(name), value) for name, value in event.items()}


def redact_text(text: str, *, phones: bool = True) -> str:
    """``text`` with passwords, tokens, mail addresses and phone numbers taken out.

    Args:
        text: Anything that is about to be logged.
        phones: False for an identity, whose digits may look like a phone number's.
    """
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<kept>{REDACTED}", text)
    return _DATE_OR_PHONE.sub(_clean_phone, text) if phones else text


def _clean_field(name: str, value: object) -> object:
    snake = _WORD_START.sub("_", name).lower()
    if value is not None and not isinstance(value, bool) and _is_secret(snake):
        return REDACTED
    return _clean(value, phones=not _IDENTITY.search(snake))


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or not _SECRET_WORDS.isdisjoint(name.split("_"))


def _clean(value: object, *, phones: bool = True) -> object:
    """``value`` cleaned to its depths. Unknown objects become their cleaned repr."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact_text(value, phones=phones)
        case Mapping():
            return {key: _clean_field(str(key), item) for key, item in value.items()}
        case Sequence() | AbstractSet() if not isinstance(value, bytes | bytearray | memoryview):
            return [_clean(item, phones=phones) for item in value]
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case _:
            return redact_text(str(value), phones=phones)


def _clean_phone(match: re.Match[str]) -> str:
    text = match.group()
    digits = sum(character.isdigit() for character in text)
    if match["date"] or digits not in _PHONE_DIGITS or _NOT_A_PHONE.fullmatch(text):
        return text
    return REDACTED
