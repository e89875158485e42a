"""Which fields a vendor sends, and of which JSON types: counts, never values.

``shapes_of`` looks at one response, ``combined`` adds responses up, ``named`` decides which names
may be kept. An object's keys may be data: ids, names or addresses of people. So a name is kept
if the adapter knows it, or if it looks like a field's name and enough objects of its place have it.
Every other becomes ``{*}``. Until that is decided, an unknown name is marked with ``?``.

Fields that could not be read belong in ``oddities``; comparing weeks belongs in ``drift``.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

MAX_PATHS = 500
"""Paths that are kept of an endpoint's or a clinic's responses, those closest to the root first."""
MAX_DICTIONARY_PATHS = 100
"""Paths of a dictionary, which can be large: it must not displace those of records."""
MAX_DEPTH = 8
"""Levels of objects and lists that are looked into, as deep as vendors nest."""
MAX_NAMES = 32
"""An object with more names that the adapter does not know is a map, and its keys are data."""
MAX_PATH_LENGTH = 500
LOOKED_AT = 1_000
"""Items of one list that are counted. Of later ones, only those with a new field or type are."""

ANY_NAME = "{*}"
"""Takes the place of names that are not kept."""

_UNCONFIRMED = "?"
_MAX_KINDS = 3_000
_MAX_LAYOUTS = 2_000
_MAX_FIELDS = 100
_MAX_PLACES = 1_000
_MIN_OBJECTS = 2
_MIN_SHARE = 4
"""A name is kept if at least one object of this many has it."""

_NAME = re.compile(r"(?!.*[0-9]{3})[a-z][A-Za-z0-9_]{0,39}", re.ASCII)
"""No capital first: people's names have one. No longer number: it may be an id or a telephone's."""
_PATH = re.compile(r"[\w-]+(?:\[\]|\.(?:\??[\w-]+|\{\*\}))*", re.ASCII)
_STEP = re.compile(r"\[\]|[^.\[\]]+")
_TYPES: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
JSON_TYPES = tuple(dict.fromkeys(_TYPES.values()))


class Endpoint(StrEnum):
    """What is requested from a vendor: the first step of paths, the same for all vendors."""

    LISTING = "listing"
    LOOKUP = "lookup"
    CONSULTATION = "consultation"
    DICTIONARY = "dictionary"
    """What describes the clinic: its locations, rooms, providers, appointment types."""


class FieldShape(NamedTuple):
    """A place in an endpoint's responses with one of its JSON types.

    Attributes:
        path: Endpoint and field names, ``[]`` for any place of a list, such as
            ``consultation.consultationLines[].quantity``.
        json_type: One of ``JSON_TYPES``.
        seen: How many values.
    """

    path: str
    json_type: str
    seen: int = 1


Shapes = tuple[FieldShape, ...]
"""Each path and type once, in their order."""


def shapes_of(endpoint: Endpoint, body: object, known: Collection[str] = frozenset()) -> Shapes:
    """The shapes of one response, with unknown names unconfirmed: see ``named``.

    Args:
        endpoint: What was requested.
        body: Decoded JSON.
        known: Names of fields that the adapter knows: letters, digits, ``_`` and ``-`` only.

    Example:
        ``shapes_of(Endpoint.LISTING, [{"id": 1}], {"id"})`` counts ``listing`` as array,
        ``listing[]`` as object and ``listing[].id`` as number.
    """
    walk = _Walk(known)
    walk.value(endpoint.value, body, depth=0)
    is_dictionary = endpoint is Endpoint.DICTIONARY
    return _bounded(walk.total(), MAX_DICTIONARY_PATHS if is_dictionary else MAX_PATHS)


def combined(shapes: Iterable[FieldShape]) -> Shapes:
    """The shapes of several responses, with the counts of equal path and type added up."""
    counts: Counter[tuple[str, str]] = Counter()
    for path, json_type, seen in shapes:
        counts[path, json_type] += seen
    return _bounded(counts)


def named(shapes: Iterable[FieldShape]) -> Shapes:
    """The shapes with each unconfirmed name either confirmed or replaced by ``{*}``.

    A name is confirmed if at least two objects of its place have it, and one in four. It is not
    if the place has more than ``MAX_NAMES`` such names, or if objects under several of them have
    the same fields, as in ``{"smith": {"free": 3}, "jones": {"free": 2}}``.

    What no adapter should report, such as a path of another form, is left out: it must not cost a
    sync.
    """
    root = _Place()
    for path, json_type, seen in shapes:
        if seen > 0 and json_type in JSON_TYPES and _is_path(path):
            root.at(_steps(path)).types[json_type] += seen
    root.confirm()
    return _bounded(Counter(dict(root.counts(""))))


def endpoint_of(path: str) -> str:
    """The first step of a path."""
    return _steps(path)[0]


def parent_of(path: str) -> str:
    """The path of the object or list that holds the path's values; empty of an endpoint."""
    return path.removesuffix("[]") if path.endswith("[]") else path.rpartition(".")[0]


def _steps(path: str) -> list[str]:
    steps: list[str] = _STEP.findall(path)
    return steps


def _is_path(path: str) -> bool:
    return len(path) <= MAX_PATH_LENGTH and _PATH.fullmatch(path) is not None


def _bounded(counts: Mapping[tuple[str, str], int], most: int = MAX_PATHS) -> Shapes:
    """The counts of at most so many paths.

    Which are left out depends on the paths alone, so that the order of combining does not matter.
    """
    paths = {path for path, _ in counts}
    if len(paths) > most:
        paths = set(sorted(paths, key=lambda each: (len(_steps(each)), each))[:most])
    return tuple(FieldShape(*key, n) for key, n in sorted(counts.items()) if key[0] in paths)


@dataclass(slots=True)
class _Layout:
    """Objects of one place with the same names and types; they are counted together.

    Attributes:
        values: Path and type of each value.
        inside: Key and path of each object and list among them.
        times: How many objects.
    """

    values: tuple[tuple[str, str], ...]
    inside: tuple[tuple[str, str], ...]
    times: int = 0


_LayoutKey = tuple[str, tuple[str, ...], tuple[type, ...]]


class _Walk:
    """Looks at every value of a response, at most ``LOOKED_AT`` of a list."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._counts: Counter[tuple[str, str]] = Counter()
        self._layouts: dict[_LayoutKey, _Layout] = {}
        self._kinds: dict[str, set[tuple[str, type]]] = {}
        self._unknown: dict[str, set[str]] = {}

    def total(self) -> Counter[tuple[str, str]]:
        """Everything counted."""
        total = self._counts.copy()
        for layout in self._layouts.values():
            for each in layout.values:
                total[each] += layout.times
        return total

    def value(self, path: str, value: object, depth: int) -> None:
        self._count((path, _type_of(type(value))))
        self._inside(path, value, depth)

    def _count(self, kind: tuple[str, str]) -> None:
        if kind in self._counts or len(self._counts) < _MAX_KINDS:
            self._counts[kind] += 1

    def _inside(self, path: str, value: object, depth: int) -> None:
        if depth >= MAX_DEPTH or (len(self._kinds) >= _MAX_PLACES and path not in self._kinds):
            return
        if isinstance(value, dict):
            self._object(path, value, depth + 1)
        elif isinstance(value, list):
            self._items(f"{path}[]", value, depth + 1)

    def _items(self, path: str, items: list[object], depth: int) -> None:
        for item in items[:LOOKED_AT]:
            self.value(path, item, depth)
        for item in items[LOOKED_AT:]:
            if self._is_new(path, item):
                self.value(path, item, depth)

    def _is_new(self, path: str, item: object) -> bool:
        if not isinstance(item, dict):
            return (path, _type_of(type(item))) not in self._counts
        if _layout_key(path, item) in self._layouts:
            return False
        kinds = set(zip(item, map(type, item.values()), strict=True))
        return not kinds <= self._kinds.get(path, set())

    def _object(self, path: str, fields: dict[str, object], depth: int) -> None:
        key = _layout_key(path, fields)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layout(path, fields)
            if len(fields) <= _MAX_FIELDS and len(self._layouts) < _MAX_LAYOUTS:
                self._layouts[key] = layout
            else:
                for each in layout.values:
                    self._count(each)
        layout.times += 1
        for name, inner in layout.inside:
            self._inside(inner, fields[name], depth)

    def _layout(self, path: str, fields: dict[str, object]) -> _Layout:
        places = {key: f"{path}.{self._name(path, key)}" for key in fields}
        kinds = self._kinds.setdefault(path, set())
        if len(kinds) < _MAX_KINDS:
            kinds.update(zip(fields, map(type, fields.values()), strict=True))
        return _Layout(
            values=tuple((places[key], _type_of(type(value))) for key, value in fields.items()),
            inside=tuple(
                (key, places[key])
                for key, value in fields.items()
                if value and isinstance(value, dict | list)
            ),
        )

    def _name(self, path: str, key: str) -> str:
        if key in self._known:
            return key
        if _NAME.fullmatch(key) is None:
            return ANY_NAME
        unknown = self._unknown.setdefault(path, set())
        # One more than the limit, so that ``named`` sees that it was passed.
        if len(unknown) <= MAX_NAMES:
            unknown.add(key)
        return f"{_UNCONFIRMED}{key}" if key in unknown else ANY_NAME


def _type_of(kind: type) -> str:
    return _TYPES.get(kind, "string")


def _layout_key(path: str, fields: dict[str, object]) -> _LayoutKey:
    return path, tuple(fields), tuple(map(type, fields.values()))


@dataclass(slots=True)
class _Place:
    """A place of the responses, with the places inside it by name."""

    types: Counter[str] = field(default_factory=Counter)
    inside: dict[str, "_Place"] = field(default_factory=dict)

    def at(self, steps: Iterable[str]) -> "_Place":
        place = self
        for step in steps:
            place = place.inside.setdefault(step, _Place())
        return place

    def counts(self, path: str) -> Iterator[tuple[tuple[str, str], int]]:
        for json_type, number in self.types.items():
            yield (path, json_type), number
        for step, place in self.inside.items():
            joined = f"{path}{step}" if step == "[]" or not path else f"{path}.{step}"
            yield from place.counts(joined)

    def confirm(self) -> None:
        """Replace the unconfirmed names of this place and those inside it."""
        hidden = set(self._hidden())
        former, self.inside = self.inside, {}
        for step, place in former.items():
            name = ANY_NAME if step in hidden else step.removeprefix(_UNCONFIRMED)
            self.inside.setdefault(name, _Place()).add(place)
        for place in self.inside.values():
            place.confirm()

    def _hidden(self) -> Iterator[str]:
        unknown = {step: each for step, each in self.inside.items() if step[0] == _UNCONFIRMED}
        forms = Counter(each.form for each in unknown.values())
        for step, each in unknown.items():
            seen, form = each.types.total(), each.form
            is_seldom = seen < _MIN_OBJECTS or seen * _MIN_SHARE < self.types["object"]
            if len(unknown) > MAX_NAMES or is_seldom or (form and forms[form] > 1):
                yield step

    @property
    def form(self) -> frozenset[str]:
        """The names of fields inside, also of the objects of a list."""
        return frozenset(self.inside["[]"].inside if "[]" in self.inside else self.inside)

    def add(self, other: "_Place") -> None:
        self.types.update(other.types)
        for step, place in other.inside.items():
            self.inside.setdefault(step, _Place()).add(place)
