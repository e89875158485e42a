"""Canaries: strings that must not come up, and whether a text shows one, however it is encoded.

A test uses a canary as a password, a client's name or a note. Where to search is ``evidence``'s.
"""

import base64
import html
import json
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote

_PIECE = 16


@dataclass(frozen=True, slots=True)
class Canary:
    """A random string that is used as a secret or as personal data.

    Attributes:
        what: What it is used as.
        text: As it is typed, sent or stored.
        pieces: Parts of it; a text that holds one of them shows the canary.
    """

    what: str
    text: str = field(repr=False)
    pieces: tuple[str, ...] = field(repr=False)


def canary(what: str, written: str = "{}") -> Canary:
    """A new canary.

    Args:
        what: What it is used as.
        written: The text around the random word, with ``{}`` in its place.
    """
    word = f"kanari{what.title().replace(' ', '')}{secrets.token_hex(5)}"
    return Canary(what, written.format(word), (word,))


def secret_canary(what: str, secret: str) -> Canary:
    """A canary from a generated random secret, any part of which gives it away."""
    starts = range(0, max(len(secret) - _PIECE, 0) + 1, _PIECE // 2)
    return Canary(what, secret, tuple(secret[start : start + _PIECE] for start in starts))


@cache
def _spellings(piece: str) -> tuple[frozenset[str], frozenset[str]]:
    """Encodings of a piece: those compared without regard to case, and those compared exactly."""
    as_json = json.dumps(piece)[1:-1]
    either = {
        piece,
        quote(piece, safe=""),
        html.escape(piece),
        as_json,
        json.dumps(as_json)[1:-1],
        piece.encode().hex(),
    }
    exact = {_base64_inside(piece.encode(), before) for before in range(3)}
    exact |= {each.replace("+", "-").replace("/", "_") for each in exact}
    return frozenset(each.casefold() for each in either), frozenset(exact)


def _base64_inside(piece: bytes, before: int) -> str:
    """What base64 of a longer text shows of a piece after ``before`` bytes, modulo 3."""
    encoded = base64.b64encode(bytes(before) + piece).decode().rstrip("=")
    # The first and the last letter may encode bits of neighbours too.
    first = (before * 4 + 2) // 3
    whole = (before + len(piece)) * 4 // 3
    return encoded[first:whole]


def shows(text: str | bytes, canary: Canary) -> bool:
    """Whether the text holds a piece of the canary, plain, encoded or compressed."""
    words = text if isinstance(text, str) else legible(text)
    return shown_in(words, words.casefold(), canary)


def shown_in(words: str, folded: str, canary: Canary) -> bool:
    """As ``shows``, of a text whose casefolded form the caller keeps."""
    for piece in canary.pieces:
        either, exact = _spellings(piece)
        if any(each in folded for each in either) or any(each in words for each in exact):
            return True
    return False


def legible(data: bytes) -> str:
    """Bytes as text, decompressed where needed; wide characters become narrow ones."""
    with suppress(zlib.error):
        # 32 detects zlib and gzip by the header.
        data = zlib.decompress(data, wbits=zlib.MAX_WBITS | 32)
    return data.replace(b"\0", b"").decode(errors="replace")
