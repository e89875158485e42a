"""API keys: how their text is built and told apart, and what a key's permissions permit.

A key is eight random letters and digits that name it (its prefix), an underscore, 43 more that
are its secret, and six of a checksum, by which a mistyped key is known without asking anyone.
Where keys are kept, and who may use them when, is the store's and the API's business.
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
    """The text of a new key, made up at random. A secret."""
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
    """The part of a key that names it; ``None`` when ``text`` cannot be a key."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["checksum"] != _checksum(found["checked"]):
        return None
    return found["prefix"]


def hash_of(text: str) -> str:
    """What is kept of a key: the SHA-256 of its whole text, in hexadecimal.

    A key's secret is random and long: a slow hash would make it no safer.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def permits(permissions: Sequence[str] | None, wanted: str) -> bool:
    """Whether a key with these permissions may do what needs the permission ``wanted``.

    No permissions at all are all of them, and so is ``*``.
    """
    return not permissions or ALL_PERMISSIONS in permissions or wanted in permissions


def checked_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """The permissions, each once, in the order given.

    Raises:
        ValueError: If any of them does not exist.
    """
    wanted = tuple(dict.fromkeys(permissions))
    if unknown := [each for each in wanted if each not in (*PERMISSIONS, ALL_PERMISSIONS)]:
        names = ", ".join(repr(each) for each in unknown)
        raise ValueError(
            f"unknown permission {names}; there are {', '.join(PERMISSIONS)} "
            f"and {ALL_PERMISSIONS} for all of them"
        )
    return wanted
