"""Canonical JSON and its digest, by which two payloads are compared."""

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(payload: Mapping[str, Any]) -> str:
    """``payload`` as JSON text that does not depend on the order of keys."""
    return _ENCODER.encode(payload)


def json_word(word: str | None) -> str:
    """``word`` as ``canonical_json`` writes it, for texts of a fixed form.

    Example:
        ``f'{{"name":{json_word(name)}}}'`` equals ``canonical_json({"name": name})``.
    """
    return "null" if word is None else encode_basestring(word)


def digest(text: str) -> str:
    """The SHA-256 of ``text`` in hexadecimal.

    A lone surrogate (a broken emoji in a vendor's record) is digested as it is, not refused.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
