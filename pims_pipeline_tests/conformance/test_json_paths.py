"""Changes of single values in JSON."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pims_pipeline.conformance.conditions import MISSING, Json, Spoiled
from pims_pipeline.conformance.http.json_paths import changed, doubled, has, put

RECORDS: Json = {"data": {"rows": [{"id": 1, "patient": {"name": "A"}}, {"id": 2}]}}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("data.rows[].id", 0, [{"id": 0, "patient": {"name": "A"}}, {"id": 0}]),
        ("data.rows[0].id", 0, [{"id": 0, "patient": {"name": "A"}}, {"id": 2}]),
        ("data.rows[].patient.name", None, [{"id": 1, "patient": {"name": None}}, {"id": 2}]),
        ("data.rows[].id", MISSING, [{"patient": {"name": "A"}}, {}]),
        ("data.rows[1]", MISSING, [{"id": 1, "patient": {"name": "A"}}]),
        ("data.rows", [], []),
    ],
)
def test_a_value_is_changed_where_the_path_leads(
    path: str, value: Spoiled, expected: object
) -> None:
    assert changed(RECORDS, path, put(value)) == {"data": {"rows": expected}}


def test_a_field_that_an_object_lacks_is_added() -> None:
    assert changed([{"id": 1}], "[].name", put(None)) == [{"id": 1, "name": None}]


def test_the_whole_of_a_response_can_be_changed() -> None:
    assert changed([1], "", doubled) == [1, 1]
    assert changed({"items": [1]}, "items", doubled) == {"items": [1, 1]}


@pytest.mark.parametrize("path", ["data.rows[].id", "data.rows[].patient.name", "data", ""])
def test_what_is_there_is_met(path: str) -> None:
    assert has(RECORDS, path)


@pytest.mark.parametrize("path", ["rows", "data.rows[5].id", "data.rows[].nme", "data.rows.id"])
def test_what_is_misspelled_is_not_met(path: str) -> None:
    assert not has(RECORDS, path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(_JSON, st.lists(st.sampled_from(["a", "b", "[]", "[0]"]), max_size=4))
def test_a_change_to_what_was_there_changes_nothing(content: Json, steps: list[str]) -> None:
    path = ".".join(steps)
    same = changed(content, path, lambda value: value)
    assert same == content or not has(content, path)
