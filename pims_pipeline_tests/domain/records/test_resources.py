"""Which appointments a filter of resources leaves out, and how an operator names resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.resource_choices import (
    Counted,
    UnknownResource,
    chosen,
    effect_of,
)
from pims_pipeline.domain.records.resources import (
    ALL_RESOURCES,
    Resource,
    ResourceFilter,
    ResourceKind,
    ids_by_name,
    with_identity,
)

KEYS = ("room:1", "room:2", "provider:1", "column:2")
UNREADABLE = tuple(kind.unreadable for kind in ResourceKind)
held = st.none() | st.lists(st.sampled_from(KEYS + UNREADABLE), max_size=3, unique=True)
some = st.frozensets(st.sampled_from(KEYS), min_size=1)
filters = st.one_of(
    st.just(ALL_RESOURCES),
    some.map(lambda keys: ResourceFilter(included=keys)),
    some.map(lambda keys: ResourceFilter(excluded=keys)),
)


def including(*keys: str) -> ResourceFilter:
    return ResourceFilter(included=frozenset(keys))


def excluding(*keys: str) -> ResourceFilter:
    return ResourceFilter(excluded=frozenset(keys))


@pytest.mark.parametrize(
    ("resources", "included", "excluded"),
    [
        (("room:1",), False, True),
        (("room:2",), True, False),
        (("room:1", "provider:9"), False, True),
        (("provider:9",), True, False),
        # A vendor that names no resource of an appointment says that it has none.
        ((), True, False),
        # Of an appointment whose resources are not known, nothing is concluded.
        (None, False, False),
        (("room:?",), False, False),
        (("provider:?",), True, False),
        (("room:2", "room:?"), False, False),
    ],
)
def test_a_filter_leaves_out_only_what_it_knows_to_be_another_resource(
    resources: tuple[str, ...] | None, *, included: bool, excluded: bool
) -> None:
    assert including("room:1").leaves_out(resources) is included
    assert excluding("room:1").leaves_out(resources) is excluded


@given(held)
def test_without_a_filter_nothing_is_left_out(resources: list[str] | None) -> None:
    assert not ALL_RESOURCES.leaves_out(resources)


@given(some, held)
def test_including_leaves_out_no_appointment_that_excluding_the_same_leaves_out(
    keys: frozenset[str], resources: list[str] | None
) -> None:
    included, excluded = ResourceFilter(included=keys), ResourceFilter(excluded=keys)
    assert not (included.leaves_out(resources) and excluded.leaves_out(resources))


@given(some, some, held)
def test_including_more_leaves_out_less(
    keys: frozenset[str], more: frozenset[str], resources: list[str] | None
) -> None:
    if ResourceFilter(included=keys | more).leaves_out(resources):
        assert ResourceFilter(included=keys).leaves_out(resources)


@pytest.mark.parametrize(
    ("included", "excluded"), [((), ()), (("room:1",), ("room:2",)), (("room:1",), ("room:1",))]
)
def test_a_filter_includes_some_or_excludes_some(
    included: tuple[str, ...], excluded: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="not both"):
        ResourceFilter(frozenset(included), frozenset(excluded))


KNOWN = {"room:11": "Room 1", "room:12": "", "provider:11": "Dr. Fenwick", "column:3": ""}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["room:11"], {"room:11"}),
        (["12"], {"room:12"}),
        ([" 12 ", "room:12", "3"], {"room:12", "column:3"}),
    ],
)
def test_an_id_alone_is_enough_where_one_resource_has_it(typed: list[str], meant: set[str]) -> None:
    assert chosen(typed, KNOWN) == meant


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["11"], "'11' is ambiguous, so nothing was changed: write provider:11 or room:11"),
        (
            ["room:11", "13", "Room 1"],
            (
                "the clinic's calendar has no '13', 'Room 1', so nothing was changed; it has "
                "column:3, provider:11 (Dr. Fenwick), room:11 (Room 1), room:12"
            ),
        ),
        ([""], "has no ''"),
    ],
)
def test_an_unknown_or_ambiguous_id_is_refused_with_those_there_are(
    typed: list[str], message: str
) -> None:
    with pytest.raises(UnknownResource) as refused:
        chosen(typed, KNOWN)
    assert message in str(refused.value)


def test_before_anything_was_seen_the_refusal_says_so() -> None:
    with pytest.raises(UnknownResource, match="no rooms, columns or providers that were seen yet"):
        chosen(["1"], {})


def test_a_name_gives_an_id_only_where_one_resource_has_it() -> None:
    dictionary = [
        Resource(ResourceKind.PROVIDER, "1", "Ada"),
        Resource(ResourceKind.PROVIDER, "2", "Tom"),
        Resource(ResourceKind.PROVIDER, "3", "Tom"),
        Resource(ResourceKind.ROOM, "4", "Ada"),
    ]
    ids = ids_by_name(dictionary, ResourceKind.PROVIDER)
    assert ids == {"Ada": "1"}
    held_by = ("room:4", "provider:?")
    assert with_identity(held_by, ResourceKind.PROVIDER, "Ada", ids) == ("room:4", "provider:1")
    for name in ("Tom", "Eve", None):
        assert with_identity(held_by, ResourceKind.PROVIDER, name, ids) == held_by
    assert with_identity(None, ResourceKind.PROVIDER, "Ada", ids) is None


def test_the_effect_counts_appointments_and_the_cases_to_be_retired() -> None:
    counted = [
        Counted(resources=("room:1",), appointments=5, active_cases=4),
        Counted(resources=("room:2",), appointments=3, active_cases=3),
        Counted(resources=None, appointments=2, active_cases=2),
    ]
    effect = effect_of(excluding("room:2"), counted)
    assert (effect.appointments, effect.left_out) == (10, 3)
    assert (effect.active_cases, effect.retired) == (9, 3)
    assert not effect.leaves_nothing
    assert effect_of(excluding("room:2"), counted[1:2]).leaves_nothing
    assert not effect_of(excluding("room:2"), []).leaves_nothing
