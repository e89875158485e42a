"""Changes of single values in JSON, by path: ``data.appointments[].patient.name``.

Pure. Which value is changed, and when, belongs in ``proxy``.
"""

import re
from collections.abc import Callable

from pims_pipeline.conformance.conditions import Json, Missing, Spoiled

_STEP = re.compile(r"\[(\d*)\]|([^.\[\]]+)")
Change = Callable[[Json], Spoiled]


def changed(content: Json, path: str, change: Change) -> Json:
    """``content`` with ``change`` applied to each value at ``path``.

    Places that the content does not have are passed over; a field that its object lacks is given
    the changed null.

    Args:
        content: Decoded JSON.
        path: Names with dots between them; ``[]`` for every place of a list, ``[0]`` for the first.
        change: The new value from the old one, or ``MISSING`` to leave the field out.
    """
    steps = [match[0] for match in _STEP.finditer(path)]
    result = _at(content, steps, change)
    return content if isinstance(result, Missing) else result


def has(content: Json, path: str) -> bool:
    """Whether ``content`` has a value at ``path``."""
    met: list[Json] = []

    def note(value: Json) -> Json:
        met.append(value)
        return value

    *inner, last = [match[0] for match in _STEP.finditer(path)] or [""]
    if not last or last.startswith("["):
        _at(content, [*inner, last] if last else [], note)
        return bool(met)
    _at(content, inner, note)
    return any(isinstance(each, dict) and last in each for each in met)


def _at(content: Spoiled, steps: list[str], change: Change) -> Spoiled:
    if isinstance(content, Missing):
        return content
    if not steps:
        return change(content)
    first, rest = steps[0], steps[1:]
    if first.startswith("["):
        return _in_list(content, first[1:-1], rest, change)
    if not isinstance(content, dict):
        return content
    if rest and first not in content:
        return content
    value = _at(content.get(first), rest, change)
    others = {name: each for name, each in content.items() if name != first}
    return others if isinstance(value, Missing) else {**others, first: value}


def _in_list(content: Json, place: str, rest: list[str], change: Change) -> Json:
    if not isinstance(content, list):
        return content
    values = [
        _at(each, rest, change) if place in {"", str(number)} else each
        for number, each in enumerate(content)
    ]
    return [each for each in values if not isinstance(each, Missing)]


def put(value: Spoiled) -> Change:
    """The change to ``value``, whatever was there."""
    return lambda _: value


def doubled(content: Json) -> Spoiled:
    """A list with each of its values twice."""
    return [*content, *content] if isinstance(content, list) else content
