"""API keys: their format, and what a key's permissions allow.

A key that we make is a prefix of eight random letters and digits that identifies it, an
underscore, a secret of 43, and a checksum of six that detects typing errors. A key imported from a
v4.0 installation is any text; its first eight to twelve characters find it, and several keys may
begin with the same ones. Where keys are kept belongs in ``store``; who may use them when belongs in
``api``; what an import does with each key, in ``domain.adoption``.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pims_pipeline.domain.phases import PHASES, Phase

READ = "read"
READ_VALUES = "read:values"
"""To read what fields of cases had before and after a change; ``READ`` does not include it."""
PERMISSIONS = (*(names.permission for names in PHASES.values()), READ, READ_VALUES)
ALL_PERMISSIONS = "*"
ALL_SYNCS = "sync:*"
"""Every permission that begins with ``sync:``."""
_SYNCS = ALL_SYNCS.removesuffix("*")
FORMER_NAMES: Mapping[str, str] = MappingProxyType(
    {"sync:reconciliation": Phase.RECONCILIATION.names.permission}
)
"""Permissions by the names that the v4.0 service gave them."""

SHORTEST_PREFIX = 8
LONGEST_PREFIX = 12
"""Characters of an imported key by which it may be looked up."""
LONGEST_KEY = 512
"""Characters of an imported key; longer texts are no keys."""
MOST_CANDIDATES = 256
"""Keys that one text may be compared with: so many may begin with the same characters."""
LONGEST_WAIT_SECONDS = 120
"""How long a request may wait for the end of its sync."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""Characters that the database cannot hold."""
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
    """The part of a key of ours that identifies it; ``None`` when ``text`` is not one."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["checksum"] != _checksum(found["checked"]):
        return None
    return found["prefix"]


def lookup_start(text: str) -> str | None:
    """The characters by which the key ``text`` is looked up; ``None`` when it cannot be a key.

    The prefix of a key of ours; of any other text, as much as the prefix of an imported key may
    have. No more of a secret than needed is sent to the database.

    Example:
        ``lookup_start("live_k3y-of-v4.0")`` is ``"live_k3y-of-"``.
    """
    own = prefix_of(text)
    if own is not None:
        return own
    if not SHORTEST_PREFIX <= len(text) <= LONGEST_KEY or _NO_TEXT.search(text):
        return None
    return text[:LONGEST_PREFIX]


def hash_of(text: str) -> str:
    """What is stored of a key: the SHA-256 of its whole text, in hexadecimal.

    The secret is random and long, so a slow hash would add no safety.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def permits(permissions: Sequence[str] | None, wanted: str) -> bool:
    """Whether these permissions of a key include ``wanted``.

    An empty list and ``*`` both mean every permission, ``sync:*`` every sync. A permission may
    have its former name.
    """
    if not permissions or ALL_PERMISSIONS in permissions:
        return True
    if ALL_SYNCS in permissions and wanted.startswith(_SYNCS):
        return True
    return wanted in current_names(permissions)


def current_names(permissions: Iterable[str]) -> tuple[str, ...]:
    """The permissions by their present names, once each, in the order given."""
    return tuple(dict.fromkeys(FORMER_NAMES.get(each, each) for each in permissions))


def checked_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """The permissions by their present names, without duplicates, in the order given.

    Raises:
        ValueError: If one of them does not exist.
    """
    wanted = current_names(permissions)
    known = (*PERMISSIONS, ALL_SYNCS, ALL_PERMISSIONS)
    if unknown := [each for each in wanted if each not in known]:
        names = ", ".join(repr(each) for each in unknown)
        raise ValueError(
            f"unknown permission {names}; there are {', '.join(PERMISSIONS)}, "
            f"{ALL_SYNCS} for all syncs and {ALL_PERMISSIONS} for everything"
        )
    return wanted
