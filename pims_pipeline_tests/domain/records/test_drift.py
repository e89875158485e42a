"""What changed since last week: new, missing and retyped fields, and what is no change."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.records.drift import WEEK, Drift, SeenShape, drift, week_of
from pims_pipeline.domain.records.shapes import Endpoint

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
"""A Wednesday."""
DAYS = 28
Sent = Mapping[str, int]
"""How often each path with a type is sent on a day: ``{"listing[].id number": 5}``."""

LISTED: Sent = {"listing array": 1, "listing[] object": 5}
USUAL: Sent = {**LISTED, "listing[].id number": 5}


def seen(days: Sequence[Sent], now: datetime = NOW) -> list[SeenShape]:
    """What the store has of these days; the last one is that of ``now``."""
    shapes: dict[tuple[str, date], tuple[datetime, datetime, int]] = {}
    for ago, sent in enumerate(reversed(days)):
        at = now - timedelta(days=ago)
        for kind, number in sent.items():
            _, last, total = shapes.get((kind, week_of(at)), (at, at, 0))
            shapes[kind, week_of(at)] = at, last, total + number
    return [
        SeenShape(
            path=kind.split()[0],
            json_type=kind.split()[1],
            first_seen_at=min(first for first, _, _ in weeks.values()),
            last_seen_at=max(last for _, last, _ in weeks.values()),
            weeks={week: n for week, (_, last, n) in weeks.items() if last >= now - 4 * WEEK},
            lately=sum(n for first, _, n in weeks.values() if first >= now - WEEK),
        )
        for kind in {kind for kind, _ in shapes}
        if (weeks := {week: each for (name, week), each in shapes.items() if name == kind})
    ]


def drift_of(days: Sequence[Sent], now: datetime = NOW) -> Drift:
    return drift(seen(days, now), now)


def days(before: Sent, lately: Sent, *, ago: int = 7) -> list[Sent]:
    """Days on which ``before`` was sent, and the last ``ago`` days with ``lately``."""
    return [before] * (DAYS - ago) + [lately] * ago


def test_a_week_like_the_one_before_has_no_drift() -> None:
    assert drift_of([USUAL] * DAYS) == Drift()
    assert drift([], NOW) == Drift()


@pytest.mark.parametrize("ago", range(1, 9))
def test_a_field_that_was_never_seen_before_is_new_for_a_week(ago: int) -> None:
    now = {**USUAL, "listing[].tier string": 1, "listing[].tier null": 4}
    assert drift_of(days(USUAL, now, ago=ago)) == Drift(new=("listing[].tier (null, string)",))
    assert drift_of(days(USUAL, now, ago=9)) == Drift()


def test_of_a_new_object_only_its_own_path_is_new() -> None:
    now = {**USUAL, "listing[].owner object": 5, "listing[].owner.id number": 5}
    assert drift_of(days(USUAL, now)) == Drift(new=("listing[].owner (object)",))


def test_a_field_that_comes_back_is_not_new() -> None:
    with_rare = {**USUAL, "listing[].rare string": 1}
    assert drift_of([with_rare, *[USUAL] * 24, with_rare]) == Drift()


@pytest.mark.parametrize("weekday", range(7))
def test_a_field_that_always_came_is_missing_once_it_has_not_for_a_week(weekday: int) -> None:
    now = NOW + timedelta(days=weekday)
    before = {**USUAL, "listing[].reason string": 3, "listing[].reason null": 2}
    missing = Drift(missing=("listing[].reason (null, string)",))
    assert drift_of(days(before, USUAL, ago=7), now) == Drift()
    assert drift_of(days(before, USUAL, ago=10), now) == missing
    assert drift_of(days(before, USUAL, ago=14), now) == missing
    assert drift_of(days(before, USUAL, ago=15), now) == Drift()


def test_a_field_that_few_records_had_is_never_missing() -> None:
    before = {**USUAL, "listing[].rare string": 3}
    assert drift_of(days(before, USUAL, ago=8)) == Drift()


def test_a_field_is_not_missing_while_few_records_are_seen() -> None:
    before = {**USUAL, "listing[].reason string": 5}
    quiet = {"listing array": 1}
    few = [quiet] * 7 + [USUAL]
    assert drift_of([*[before] * 20, *few]) == Drift()


def test_a_clinic_that_is_closed_for_a_week_has_no_drift() -> None:
    before = {**USUAL, "listing[].notes array": 5, "listing[].notes[] string": 9}
    for quiet in ({}, {"listing array": 1}):
        assert drift_of(days(before, quiet, ago=8)) == Drift()
        assert drift_of([*[before] * 14, *[quiet] * 8, before, before]) == Drift()
        assert drift_of([*[before] * 10, *[quiet] * 16, before, before]) == Drift()


def test_a_missing_field_that_may_be_among_the_unnamed_is_not_reported() -> None:
    before = {**USUAL, "listing[].tier string": 5}
    assert drift_of(days(before, {**USUAL, "listing[].{*} string": 5}, ago=8)).missing == ()
    hidden = {**before, "listing[].{*} string": 5}
    assert drift_of(days(hidden, USUAL, ago=8)).missing == ("listing[].tier (string)",)


def test_a_new_type_is_a_change_and_null_is_none() -> None:
    text = {**LISTED, "listing[].id number": 3, "listing[].id string": 2}
    assert drift_of(days(USUAL, text)) == Drift(
        changed=("listing[].id (number; now number, string)",)
    )
    empty = {**LISTED, "listing[].id number": 3, "listing[].id null": 2}
    assert drift_of(days(USUAL, empty)) == Drift()
    assert drift_of(days(empty, USUAL, ago=8)) == Drift()


def test_a_value_in_a_field_that_was_always_null_is_no_change() -> None:
    empty = {**LISTED, "listing[].id null": 5}
    assert drift_of(days(empty, USUAL)) == Drift()


def test_a_field_that_is_always_null_now_has_changed_if_it_hardly_ever_was() -> None:
    empty = {**LISTED, "listing[].id null": 5}
    now_null = Drift(changed=("listing[].id (number; now null)",))
    assert drift_of(days(USUAL, empty, ago=8)) == now_null
    mixed = {**LISTED, "listing[].id number": 3, "listing[].id null": 2}
    assert drift_of(days(mixed, empty, ago=8)) == Drift()


def test_the_first_week_of_an_endpoint_has_nothing_to_compare() -> None:
    assert drift_of([USUAL] * 7) == Drift(first_week=("listing",))
    found = {**USUAL, "consultation object": 1, "consultation.notes string": 1}
    assert drift_of(days(USUAL, found)) == Drift(first_week=("consultation",))


def test_only_the_endpoints_asked_for_are_compared() -> None:
    now = {**USUAL, "listing[].tier string": 5}
    shapes = seen(days(USUAL, now))
    assert drift(shapes, NOW, endpoints=[Endpoint.CONSULTATION]) == Drift()
    assert drift(shapes, NOW, endpoints=[Endpoint.LISTING]) == drift(shapes, NOW) != Drift()


_kinds = st.sampled_from(
    [f"{path} {kind}" for path in ("listing[].a", "listing[].b", "lookup.a") for kind in
     ("number", "string", "null", "object")]
)  # fmt: skip
_sent = st.dictionaries(_kinds, st.integers(1, 9), max_size=5).map(lambda some: {**USUAL, **some})


@given(st.lists(_sent, min_size=1, max_size=DAYS), st.randoms())
def test_any_weeks_are_compared_the_same_in_any_order(
    sent: list[Sent], random: "st.DataObject"
) -> None:
    shapes = seen(sent)
    found = drift(shapes, NOW)
    random.shuffle(shapes)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    assert drift(shapes, NOW) == found
    assert not {*found.new} & {*found.missing}


@given(_sent, st.integers(8, DAYS))
def test_what_is_sent_alike_every_day_never_drifts(sent: Sent, number: int) -> None:
    assert drift_of([sent] * number).is_none
