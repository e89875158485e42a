"""Passwords of operators: argon2id with the parameters of RFC 9106 for little memory.

Verifying takes as long for a name that does not exist as for one that does: then it compares with
a hash that no password has. At most a few run at a time, because each takes 64 MiB, and few
wait: one who sends many must not take all threads of the process.
"""

import functools
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pims_pipeline.domain.console.operators import LONGEST_PASSWORD, check_password

_AT_ONCE = 4
_MOST_WAITING = 8
_HASHER = PasswordHasher()
_room = threading.BoundedSemaphore(_AT_ONCE)
_places = threading.BoundedSemaphore(_AT_ONCE + _MOST_WAITING)


class TooBusy(Exception):
    """So many passwords wait to be checked that another one would wait for long."""


@contextmanager
def place_in_line() -> Iterator[None]:
    """A place among those who wait for ``is_password``; never waits for one.

    Raises:
        TooBusy: If all places are taken.
    """
    if not _places.acquire(blocking=False):
        raise TooBusy
    try:
        yield
    finally:
        _places.release()


def hashed(password: str) -> str:
    """The hash of a new password.

    Raises:
        BadPassword: If it is too short or too long.
    """
    check_password(password)
    return _HASHER.hash(_normalized(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether ``password_hash`` is that of the password; takes the same time if there is none."""
    expected = password_hash or _unused_hash()
    with _room:
        try:
            _HASHER.verify(expected, _normalized(password[: LONGEST_PASSWORD + 1]))
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def prepare() -> None:
    """Make the hash that unknown names are compared with: the first one must take no longer."""
    _unused_hash()


@functools.cache
def _unused_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe())


def _normalized(password: str) -> bytes:
    # The same characters, however a keyboard composes them.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
