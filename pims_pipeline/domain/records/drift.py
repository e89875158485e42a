"""What changed in a vendor's responses between two weeks: new, missing, or of another type.

Pure. ``now`` is an argument. Add a rule here when a change is worth a person's attention; what is
counted belongs in ``shapes``, where it is kept in the store.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pims_pipeline.domain.records.shapes import ANY_NAME, endpoint_of, parent_of

WEEK = timedelta(days=7)
KEPT = timedelta(weeks=13)
"""How long shapes are kept: a field that was last seen earlier is new when it comes back."""
MIN_EXPECTED = 10
"""A field is missing only if its places in the last week make this many expected."""
MIN_SHARE = 0.9
"""Rarer fields and types come and go: they are never missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenShape:
    """A path with one JSON type, as it was seen over the weeks.

    Attributes:
        path: See ``FieldShape``.
        json_type: See ``FieldShape``.
        first_seen_at: Aware UTC; of all that is kept.
        last_seen_at: Aware UTC.
        weeks: How often in each of the last weeks, by their Mondays.
        lately: How often in those weeks that began after the seven days did.
    """

    path: str
    json_type: str
    first_seen_at: datetime
    last_seen_at: datetime
    weeks: Mapping[date, int] = field(default_factory=dict)
    lately: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """The changes of one clinic's responses, each a path with its types; no values.

    Attributes:
        new: Paths that were never seen before the last seven days.
        missing: Paths that nearly always came in the week before, and not since.
        changed: Paths with a type that is new there, or that no longer comes.
        first_week: Endpoints that are known for less than a week: there is nothing to compare.
    """

    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    first_week: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether nothing changed."""
        return not (self.new or self.missing or self.changed)


def week_of(moment: datetime) -> date:
    """The Monday, in UTC, of the week that an aware time in UTC is in."""
    day = moment.date()
    return day - timedelta(days=day.weekday())


def drift(
    seen: Iterable[SeenShape], now: datetime, *, endpoints: Collection[str] | None = None
) -> Drift:
    """Compare the last seven days before ``now`` (aware) with the seven days before those.

    - Of a new object, only its own path counts as new.
    - A field is missing if it was in most of the objects of its place, and if ``MIN_EXPECTED`` were
      expected in those seen since. So a quiet week has no missing fields.
    - An empty list, or a field that is null at times, is no change.

    Args:
        seen: Everything that is kept of one clinic.
        now: The end of the last seven days.
        endpoints: The only ones to compare; all if None.
    """
    weeks = _Weeks(seen, now - WEEK, endpoints)
    return Drift(
        new=tuple(weeks.new()),
        missing=tuple(weeks.missing()),
        changed=tuple(weeks.changed()),
        first_week=tuple(weeks.first_week),
    )


class _Weeks:
    """The shapes by path, with the start of the last week between them."""

    def __init__(
        self, seen: Iterable[SeenShape], start: datetime, endpoints: Collection[str] | None
    ) -> None:
        places: defaultdict[str, list[SeenShape]] = defaultdict(list)
        for each in seen:
            if endpoints is None or endpoint_of(each.path) in endpoints:
                places[each.path].append(each)
        self._start = start
        self._all: Mapping[str, Sequence[SeenShape]] = dict(sorted(places.items()))
        self.first_week = [
            path for path in self._all if not parent_of(path) and not self._was_known(path)
        ]

    def new(self) -> Iterator[str]:
        for path, shapes in self._all.items():
            if not self._was_known(path) and self._was_known(parent_of(path)):
                yield f"{path} ({_types(shapes)})"

    def missing(self) -> Iterator[str]:
        for path, shapes in self._all.items():
            parent = parent_of(path)
            # A list may be empty, and a map's keys may be any.
            if not parent or path.endswith(("[]", ANY_NAME)) or not self._ended(shapes):
                continue
            objects = [each for each in self._all.get(parent, ()) if each.json_type == "object"]
            # A name that too few objects had lately is counted there: see ``shapes.named``.
            unnamed = _lately(self._all.get(f"{parent}.{ANY_NAME}", ()))
            if _expected(shapes, objects) >= max(MIN_EXPECTED, 2 * unnamed):
                yield f"{path} ({_types(shapes)})"

    def _ended(self, shapes: Sequence[SeenShape]) -> bool:
        """Whether they came in the week before, and not since."""
        last = max(each.last_seen_at for each in shapes)
        return self._start - WEEK <= last < self._start

    def changed(self) -> Iterator[str]:
        for path, shapes in self._all.items():
            lately = [each for each in shapes if each.last_seen_at >= self._start]
            former = [each for each in shapes if self._is_former(each)]
            if lately and any(self._is_change(each, shapes) for each in shapes):
                yield f"{path} ({_types(former)}; now {_types(lately)})"

    def _is_change(self, shape: SeenShape, shapes: Sequence[SeenShape]) -> bool:
        """Whether one type of a path is new there, or no longer comes."""
        if shape.json_type == "null":
            return False
        if not self._is_former(shape):
            return any(self._is_former(each) and each.json_type != "null" for each in shapes)
        return self._ended([shape]) and _expected([shape], shapes) >= MIN_EXPECTED

    def _was_known(self, path: str) -> bool:
        return any(self._is_former(each) for each in self._all.get(path, ()))

    def _is_former(self, shape: SeenShape) -> bool:
        return shape.first_seen_at < self._start


def _expected(some: Sequence[SeenShape], of: Sequence[SeenShape]) -> float:
    """How many of ``of`` would lately be ``some``, by their best week; 0 if those were too few."""
    parts, wholes = _by_week(some), _by_week(of)
    shares = (parts[week] / whole for week, whole in wholes.items() if whole >= MIN_EXPECTED)
    share = max(shares, default=0)
    return share * _lately(of) if share >= MIN_SHARE else 0


def _by_week(shapes: Sequence[SeenShape]) -> Counter[date]:
    return sum((Counter(each.weeks) for each in shapes), Counter[date]())


def _lately(shapes: Sequence[SeenShape]) -> int:
    return sum(each.lately for each in shapes)


def _types(shapes: Iterable[SeenShape]) -> str:
    return ", ".join(sorted(each.json_type for each in shapes))
