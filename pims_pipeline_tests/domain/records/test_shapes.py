"""The shapes of any response: no value in them, no key that may be data, and no end of them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.shapes import (
    ANY_NAME,
    JSON_TYPES,
    LOOKED_AT,
    MAX_DEPTH,
    MAX_DICTIONARY_PATHS,
    MAX_NAMES,
    MAX_PATHS,
    Endpoint,
    FieldShape,
    Shapes,
    combined,
    endpoint_of,
    named,
    parent_of,
    shapes_of,
)

KNOWN = frozenset({"id", "patient", "first-name"})
HOSTILE = (
    "Rex", "ann@example.test", "+1 555 0100", "1", "", "a.b", "a[]", "{*}", "?id", "x\n", "\0",
    "Ünder", "555010099", "x" * 41, "a1234", "__proto__", "[]", "..",
)  # fmt: skip
keys = st.sampled_from([*KNOWN, *HOSTILE, "species", "isNew", "last_update"]) | st.text(max_size=9)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
bodies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=30,
)
responses = st.builds(shapes_of, st.sampled_from(Endpoint), bodies, st.just(KNOWN))


def found(*records: object) -> dict[str, int]:
    """The named shapes of a listing of these records, without those of the listing itself."""
    shapes = named(shapes_of(Endpoint.LISTING, list(records), KNOWN))
    return {
        f"{each.path.removeprefix('listing[].')}: {each.json_type}": each.seen
        for each in shapes
        if "." in each.path
    }


def test_paths_and_types_are_counted() -> None:
    body = [{"id": 1, "patient": {"id": None}}, {"id": "2", "patient": [True, 1.5, {}]}]
    assert shapes_of(Endpoint.LISTING, body, KNOWN) == (
        FieldShape("listing", "array", 1),
        FieldShape("listing[]", "object", 2),
        FieldShape("listing[].id", "number", 1),
        FieldShape("listing[].id", "string", 1),
        FieldShape("listing[].patient", "array", 1),
        FieldShape("listing[].patient", "object", 1),
        FieldShape("listing[].patient.id", "null", 1),
        FieldShape("listing[].patient[]", "boolean", 1),
        FieldShape("listing[].patient[]", "number", 1),
        FieldShape("listing[].patient[]", "object", 1),
    )


def values_in(body: object, path: str = "listing") -> Iterator[tuple[str, object]]:
    yield path, body
    if isinstance(body, dict):
        for key, value in body.items():
            yield from values_in(value, f"{path}.{key}")
    elif isinstance(body, list):
        for value in body:
            yield from values_in(value, f"{path}[]")


@given(st.lists(st.dictionaries(st.sampled_from(sorted(KNOWN)), scalars | st.just([]))))
def test_every_value_of_known_fields_is_counted_once(body: list[Any]) -> None:
    shapes = shapes_of(Endpoint.LISTING, body, KNOWN)
    assert sum(each.seen for each in shapes) == len(list(values_in(body)))
    assert {each.path for each in shapes} == {path for path, _ in values_in(body)}


@given(st.lists(responses, max_size=3))
def test_only_known_names_and_those_like_identifiers_are_shown(several: list[Shapes]) -> None:
    shapes = named(combined(each for one in several for each in one))
    for path, json_type, seen in shapes:
        assert json_type in JSON_TYPES
        assert seen >= 1
        assert endpoint_of(path) in set(Endpoint)
        for name in path.replace("[]", "").split(".")[1:]:
            if name not in {*KNOWN, ANY_NAME}:
                assert name.isidentifier()
                assert name.isascii()
                assert name[0].islower()
                assert name not in HOSTILE


@given(st.text(min_size=12, alphabet="kq"), bodies)
def test_no_value_is_ever_in_the_result(secret: str, body: object) -> None:
    def with_secret(value: object) -> object:
        if isinstance(value, dict):
            return {key: with_secret(each) for key, each in value.items()}
        if isinstance(value, list):
            return [with_secret(each) for each in value]
        return secret

    shapes = shapes_of(Endpoint.LOOKUP, with_secret(body), KNOWN)
    assert secret not in repr(shapes)


@given(st.lists(responses, min_size=2, max_size=4), st.randoms())
def test_the_order_of_responses_does_not_matter(several: list[Shapes], random: Any) -> None:
    total = combined(each for one in several for each in one)
    random.shuffle(several)
    first, *rest = several
    grouped = combined((*first, *combined(each for one in rest for each in one)))
    assert grouped == total
    assert combined(total) == total
    assert named(named(total)) == named(total)


@given(responses)
def test_every_place_but_an_endpoint_has_its_parent(shapes: Shapes) -> None:
    paths = {each.path for each in named(shapes)}
    assert {parent_of(path) for path in paths} <= {*paths, ""}


def test_keys_that_may_be_data_are_hidden() -> None:
    records = [dict.fromkeys(HOSTILE, 1) for _ in range(5)]
    assert found(*records) == {f"{ANY_NAME}: number": 5 * len(HOSTILE)}


def test_an_unknown_name_is_shown_once_enough_records_have_it() -> None:
    assert found({"loyalty": 1}, {"id": 1}) == {"{*}: number": 1, "id: number": 1}
    assert found({"loyalty": 1}, {"loyalty": "x"}) == {"loyalty: number": 1, "loyalty: string": 1}
    few = [{"id": 1}] * 7 + [{"loyalty": 1}] * 2
    assert found(*few) == {"id: number": 7, "{*}: number": 2}


def test_an_unknown_name_in_responses_of_one_record_is_shown_once_several_have_it() -> None:
    one = shapes_of(Endpoint.CONSULTATION, {"remarks": "x"}, KNOWN)
    assert [each.path for each in named(one)] == ["consultation", "consultation.{*}"]
    assert [each.path for each in named(combined((*one, *one)))] == [
        "consultation",
        "consultation.remarks",
    ]


def test_a_map_of_objects_by_person_is_hidden_also_if_each_record_has_it() -> None:
    record = {"patient": {"smith": {"free": 3}, "jones": {"free": 2}}}
    assert found(record, record) == {
        "patient: object": 2,
        "patient.{*}: object": 4,
        "patient.{*}.free: number": 4,
    }


def test_a_map_with_many_keys_is_hidden() -> None:
    record = {f"k{chr(97 + n // 26)}{chr(97 + n % 26)}": n for n in range(MAX_NAMES + 1)}
    assert found(record, record) == {"{*}: number": 2 * (MAX_NAMES + 1)}


def test_a_field_that_is_new_in_the_last_of_many_records_is_seen() -> None:
    records: list[dict[str, object]] = [{"id": n} for n in range(3 * LOOKED_AT)]
    records += [{"id": None}, {"patient": {"id": 1}}]
    assert found(*records) == {
        "id: number": LOOKED_AT,
        "id: null": 1,
        "patient: object": 1,
        "patient.id: number": 1,
    }


def deep(levels: int) -> object:
    return json.loads('{"patient":' * levels + "1" + "}" * levels)


@pytest.mark.parametrize(
    "body",
    [
        deep(400),
        [[[[[[[[[[[[1]]]]]]]]]]]],
        {f"{chr(97 + n % 26)}{n // 26 % 99}": {"id": n} for n in range(20_000)},
        [{f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}": n} for n in range(20_000)],
        [[{chr(97 + n): {chr(97 + m): {"id": 1} for m in range(26)}} for n in range(26)]] * 9,
    ],
    ids=["deep object", "deep list", "wide object", "many layouts", "many places"],
)
def test_a_hostile_response_has_few_paths(body: object) -> None:
    shapes = shapes_of(Endpoint.LISTING, body, KNOWN)
    assert len({each.path for each in shapes}) <= MAX_PATHS
    assert max(each.path.count(".") + each.path.count("[]") for each in shapes) <= MAX_DEPTH
    assert max(len(each.path) for each in named(shapes)) <= 500


def test_of_too_many_paths_those_closest_to_the_root_are_kept() -> None:
    known = [f"f{n}" for n in range(MAX_PATHS)]
    body = {"z": 1, "a": dict.fromkeys(known, 1)}
    shapes = shapes_of(Endpoint.LOOKUP, body, {"a", "z", *known})
    assert {"lookup", "lookup.a", "lookup.z"} < {each.path for each in shapes}
    assert len(shapes) == MAX_PATHS
    more = shapes_of(Endpoint.LOOKUP, {"a": {"b": {"c": 1}}}, {"a", "b", "c"})
    assert {each.path for each in combined((*shapes, *more))} >= {"lookup.a.b"}


def test_a_large_dictionary_leaves_room_for_records() -> None:
    names = {f"name{number}a" for number in range(99)} | {f"other{n}a" for n in range(99)}
    found = shapes_of(Endpoint.DICTIONARY, dict.fromkeys(names, 1), names)
    assert len(found) == MAX_DICTIONARY_PATHS
