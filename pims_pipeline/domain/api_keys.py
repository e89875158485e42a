"""API keys: their format, and what a key's permissions allow.

A key is a prefix of eight random letters and digits that identifies it, an underscore, a secret
of 43, and a checksum of six that detects typing errors without a query. Where keys are kept
belongs in ``store``; who may use them when belongs in ``api``.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable, Sequence

from pims_pipeline.domain.phases import PHASES

PERMISSIONS = (*(names.permission for names in PHASES.values()), "read")
ALL_PERMISSIONS = "*"

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PREFIX_LENGTH = 8
_SECRET_LENGTH = 43
"""256 bits."""
_CHECKSUM_LENGTH = 6
_SHAPE = re.compile(
    f"(?P<checked>(?P<prefix>[0-9A-Za-z]{{{_PREFIX_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    f"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


def new_key() -> str:
    """A new random key. A secret."""
    checked = f"{_random(_PREFIX_LENGTH)}_{_random(_SECRET_LENGTH)}"
    return checked + _checksum(checked)


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _checksum(checked: str) -> str:
    number = zlib.crc32(checked.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def prefix_of(text: str) -> str | None:
    """The part of a key that identifies it; ``None`` when ``text`` cannot be a key."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["checksum"] != _checksum(found["checked"]):
        return None
    return found["prefix"]


def hash_of(text: str) -> str:
    """What is stored of a key: the SHA-256 of its whole text, in hexadecimal.

    The secret is random and long, so a slow hash would add no safety.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def permits(permissions: Sequence[str] | None, wanted: str) -> bool:
    """Whether these permissions of a key include ``wanted``.

    An empty list and ``*`` both mean every permission.
    """
    return not permissions or ALL_PERMISSIONS in permissions or wanted in permissions


def checked_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """The permissions without duplicates, in the order given.

    Raises:
        ValueError: If one of them does not exist.
    """
    wanted = tuple(dict.fromkeys(permissions))
    if unknown := [each for each in wanted if each not in (*PERMISSIONS, ALL_PERMISSIONS)]:
        names = ", ".join(repr(each) for each in unknown)
        raise ValueError(
            f"unknown permission {names}; there are {', '.join(PERMISSIONS)} "
            f"and {ALL_PERMISSIONS} for all of them"
        )
    return wanted
