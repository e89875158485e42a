"""The fields that an event changed, as pages show them. Pure."""

from collections.abc import Mapping
from typing import Any


def changed_fields(changes: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each field with before and after; of objects, the keys that differ."""
    flat: list[tuple[str, Any, Any]] = []
    for name, change in changes.items():
        is_pair = isinstance(change, list | tuple) and len(change) == len(("before", "after"))
        before, after = change if is_pair else (None, change)
        if isinstance(before, Mapping) or isinstance(after, Mapping):
            flat += _keys(name, before, after)
        else:
            flat.append((name, before, after))
    return flat


def _keys(name: str, before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    sides = [side if isinstance(side, Mapping) else {} for side in (before, after)]
    old, new = sides
    return [
        (f"{name}.{key}", old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
