"""An operator's choice of resources: from typed ids to a filter, and what the filter would do.

Pure. What a filter means belongs in ``resources``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.records.resources import ResourceFilter


class UnknownResource(UserFacingError):
    """The clinic has no such resource, or several; nothing was changed."""


class LeavesOutEverything(UserFacingError):
    """No appointment would be synced any more; nothing was changed."""


def chosen(typed: Iterable[str], known: Mapping[str, str]) -> frozenset[str]:
    """The names of the resources that an operator typed.

    A name such as ``room:11`` is taken as it is, and an id alone if one resource has it.

    Args:
        typed: In any order, and more than once.
        known: What the clinic's known resources are called, by name.

    Raises:
        UnknownResource: If one is unknown or ambiguous; shows the known ones.
    """
    found: set[str] = set()
    unknown: list[str] = []
    for each in (text.strip() for text in typed):
        matching = [key for key in known if each in {key, key.partition(":")[2]}]
        if len(matching) > 1:
            several = " or ".join(sorted(matching))
            raise UnknownResource(f"{each!r} is ambiguous, so nothing was changed: write {several}")
        found.update(matching)
        if not matching:
            unknown.append(each)
    if unknown:
        names = ", ".join(repr(each) for each in dict.fromkeys(unknown))
        shown = ", ".join(f"{key} ({name})" if name else key for key, name in sorted(known.items()))
        raise UnknownResource(
            f"the clinic's calendar has no {names}, so nothing was changed; it has "
            f"{shown or 'no rooms, columns or providers that were seen yet'}"
        )
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Appointments with the same resources.

    Attributes:
        resources: None when they are not known.
        active_cases: How many of them have a case that is not retired.
    """

    resources: tuple[str, ...] | None
    appointments: int
    active_cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterEffect:
    """What a filter does to the appointments of a window, as they are known.

    Attributes:
        appointments: In the window.
        left_out: How many of them are not synced.
        active_cases: Their cases that are not retired.
        retired: How many of those the next reconciliation retires.
    """

    appointments: int
    left_out: int
    active_cases: int
    retired: int

    @property
    def leaves_nothing(self) -> bool:
        """Whether no appointment of several is synced."""
        return 0 < self.appointments == self.left_out


def effect_of(resources: ResourceFilter, counted: Sequence[Counted]) -> FilterEffect:
    """What the filter does to these appointments."""
    out = [each for each in counted if resources.leaves_out(each.resources)]
    return FilterEffect(
        appointments=sum(each.appointments for each in counted),
        left_out=sum(each.appointments for each in out),
        active_cases=sum(each.active_cases for each in counted),
        retired=sum(each.active_cases for each in out),
    )
