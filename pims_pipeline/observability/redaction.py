"""Removal of secrets and personal data from log lines: the last line of defence.

Callers log only ids and counts; this removes what slips through (a library's message, an exception
that quotes its input). Add a field name or a pattern of a secret here. What is logged belongs to
the caller.
"""

import functools
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
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
"""A field is redacted when any word of its name is one of these."""

_SECRET_NAMES = frozenset(
    {
        "api_key",
        "apikey",
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
        "session_id",
        "session_key",
        "sessionid",
        "sid",
        "username",
        "x_api_key",
    }
)
"""A field is redacted when its whole name is one of these; ``partition_key`` is not."""

_declared: frozenset[str] = frozenset()
"""Names of further secret fields; see ``redact_fields``."""
_declaring = threading.Lock()

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")

# The lookbehinds keep a pattern from starting a match at each letter of a long word, which would
# take minutes for a long line.
_URL_PASSWORD = re.compile(r"(?P<kept>(?<![\w+.-])[A-Za-z][\w+.-]*://[^\s:/@]*:)\S{1,1000}(?=@)")
_HEADER = re.compile(
    r"(?P<kept>\b(?:(?:proxy-)?authorization|(?:set-)?cookie)[\"']?\s*[:=]\s*).+", re.IGNORECASE
)
_ASSIGNMENT = re.compile(
    # A password of any shape; the variable may end with the id of the key.
    r"(?P<kept>\b\w*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key"
    r"|idexx_encryption_key(?:_\w{1,64})?)[\"']?\s*[:=]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<kept>\bbearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_EMAIL = re.compile(r"(?P<kept>)(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")

# Secrets with a recognizable shape, whatever precedes them.
_SESSION_COOKIE = re.compile(
    r"(?P<kept>(?<![\w.-])[\w.-]*(?:session(?:_?id)?|\bsid)[\"']?(?:=|\s*:\s*(?=[\"'])))"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)",
    re.IGNORECASE,
)
_API_KEY = re.compile(r"(?P<kept>(?<![^\W_])[0-9A-Za-z]{8}_)[0-9A-Za-z]{49}(?![0-9A-Za-z])")
"""An API key of ours; its prefix is kept."""

_SERVICE_TOKEN = re.compile(r"(?P<kept>\b(?:xox[a-z]|xapp|xaat|xapt)-)[\w.-]+")
"""Tokens of Slack and Axiom."""

_JSON_WEB_TOKEN = re.compile(r"(?P<kept>)(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*")
_KEY_OF_32_BYTES = re.compile(
    r"(?P<kept>)(?<![\w+/-])(?=[^=]{0,42}[A-Z])[A-Za-z0-9+/_-]{43}=(?![\w+/=])"
)
"""An encryption key in base64; digests and ids are in hexadecimal."""

_PATTERNS = (
    _URL_PASSWORD,
    _HEADER,
    _ASSIGNMENT,
    _BEARER,
    _EMAIL,
    _SESSION_COOKIE,
    _API_KEY,
    _SERVICE_TOKEN,
    _JSON_WEB_TOKEN,
    _KEY_OF_32_BYTES,
)

_declared_assignment: re.Pattern[str] | None = None
_KEPT = rf"\g<kept>{REDACTED}"
_WORD_LENGTH = 64
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id; no secret has this form."""

_DATE_OR_PHONE = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"  # resembles a phone number, and must be kept
    r"|(?<![\w.:+-])(?:\+|\(\+?)?\d[\d ().-]{6,}\d(?![\w:-])"
)
_PHONE_DIGITS = range(9, 16)
_NOT_A_PHONE = re.compile(r"\d+\.\d+|\d{1,3}(?:\.\d{1,3}){3}")
"""A decimal number, a network address."""

_IDENTITY = re.compile(r"(?:^|_)(?:id|ids|uuid|digest|hash)$")


def redact_fields(names: Iterable[str]) -> None:
    """From now on, redact fields of these names too, and what text assigns to them.

    For the secret fields that a provider declares, before its credentials are read.
    """
    global _declared, _declared_assignment  # noqa: PLW0603 - it holds for the process
    with _declaring:
        known = _declared | {name.lower() for name in names}
        if known == _declared:
            return
        either = ")|(?:".join(map(re.escape, sorted(known)))
        _declared_assignment = re.compile(
            rf"(?P<kept>(?<![^\W_])(?:(?:{either}))[\"']?\s*[:=]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
            re.IGNORECASE,
        )
        _declared = known
        _field_kind.cache_clear()
        _cleaned_word.cache_clear()


def redact_event(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The event without secrets and personal data; a structlog processor."""
    return {name: _clean_field(str(name), value) for name, value in event.items()}


def redact_text(text: str, *, phones: bool = True) -> str:
    """``text`` without passwords, tokens, mail addresses and phone numbers.

    Args:
        text: Any text to be logged.
        phones: False for an identity, whose digits may look like a phone number's.
    """
    if _UUID.fullmatch(text):
        return text
    return _cleaned_word(text, phones) if len(text) <= _WORD_LENGTH else _cleaned(text, phones)


def _cleaned(text: str, phones: bool) -> str:  # noqa: FBT001 - the cache is called by position
    for pattern in _PATTERNS:
        text = pattern.sub(_KEPT, text)
    if _declared_assignment is not None:
        text = _declared_assignment.sub(_KEPT, text)
    return _DATE_OR_PHONE.sub(_clean_phone, text) if phones else text


# Most words of a log line repeat: events, loggers, routes, ids. Without the cache, redaction
# would cost more than all other work for a line.
_cleaned_word = functools.lru_cache(maxsize=2048)(_cleaned)


def _clean_field(name: str, value: object) -> object:
    is_secret, phones = _field_kind(name)
    if value is not None and not isinstance(value, bool) and is_secret:
        return REDACTED
    return _clean(value, phones=phones)


@functools.lru_cache(maxsize=1024)
def _field_kind(name: str) -> tuple[bool, bool]:
    """Whether a field of this name is redacted, and whether it is searched for phone numbers."""
    snake = _WORD_START.sub("_", name).lower()
    is_secret = snake in _SECRET_NAMES | _declared or not _SECRET_WORDS.isdisjoint(snake.split("_"))
    return is_secret, not _IDENTITY.search(snake)


def _clean(value: object, *, phones: bool = True) -> object:
    """``value`` cleaned at every level. Unknown objects become their cleaned text."""
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
