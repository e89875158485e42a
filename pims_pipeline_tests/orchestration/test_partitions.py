"""Partition keys, selections and boxes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterInstance

from pims_pipeline.dagster_names import in_order_of_registration, range_tags
from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic, DateRange
from pims_pipeline.orchestration.partitions import (
    boxes,
    clinic_days,
    clinics_between,
    neighbours,
    register_clinics,
    registered_clinics,
    selected_days,
)
from pims_pipeline.sync.windows import OutsidePartitions, check_window
from pims_pipeline_tests.orchestration.deployment import START, TODAY, days


def date_keys() -> list[str]:
    partitions = clinic_days(START)
    (dates,) = (each for each in partitions.partitions_defs if each.name == "date")
    return list(dates.partitions_def.get_partition_keys())


def test_keys_are_grouped_by_clinic_and_in_order() -> None:
    found = selected_days(["b|2026-01-02", "a|2026-01-02", "b|2026-01-01", "b|2026-01-02"])
    assert {slug: [str(day) for day in each] for slug, each in found.items()} == {
        "a": ["2026-01-02"],
        "b": ["2026-01-01", "2026-01-02"],
    }


def test_dates_exist_from_the_start_to_as_far_ahead_as_calendars_are_synced_in_every_zone() -> None:
    found = date_keys()
    easternmost = (datetime.now(UTC) + timedelta(hours=14)).date()
    assert found[0] == START.isoformat()
    assert (easternmost + timedelta(days=DAYS_AHEAD)).isoformat() in found


def test_the_window_check_agrees_with_the_partitions() -> None:
    last = datetime.fromisoformat(date_keys()[-1]).date()
    check_window(START, DateRange(last, last), TODAY)
    for first, end in ((last, last + timedelta(days=1)), (START - timedelta(days=1), START)):
        with pytest.raises(OutsidePartitions):
            check_window(START, DateRange(first, end), TODAY)


def test_registering_clinics_again_changes_nothing(instance: DagsterInstance) -> None:
    assert register_clinics(instance, ["b", "a", "b"]) == ["b", "a"]
    assert register_clinics(instance, ["a", "c"]) == ["c"]
    assert registered_clinics(instance) == ["b", "a", "c"]


def test_neighbours_share_a_box_and_others_do_not(instance: DagsterInstance) -> None:
    register_clinics(instance, ["a", "b", "c", "d"])
    assert boxes(instance, ["b", "a"]) == [("a", "b")]
    assert boxes(instance, ["a", "b", "d"]) == [("a", "b"), ("d", "d")]
    assert boxes(instance, ["d"]) == [("d", "d")]


def test_groups_of_neighbours_are_as_few_as_their_size_allows() -> None:
    order = ["a", "b", "c", "d", "e", "f"]
    assert neighbours(order, ["f", "a", "b", "c", "e"], at_most=2) == [
        ["a", "b"],
        ["c"],
        ["e", "f"],
    ]
    assert neighbours(order, order, at_most=6) == [order]
    assert neighbours(order, ["a", "unknown"]) == [["a"]]
    assert neighbours(order, []) == []


def test_clinics_of_one_zone_are_registered_beside_each_other(
    clinics: dict[str, Clinic],
) -> None:
    alder, birch, cedar = clinics.values()
    elm = replace(alder, slug="elm")
    assert in_order_of_registration([elm, cedar, birch, alder]) == [
        "alder",
        "elm",
        "birch",
        "cedar",
    ]


def test_a_run_s_clinics_are_read_from_its_tags() -> None:
    order = ["a", "b", "c", "d"]
    assert clinics_between(order, {"dagster/partition": "b|2026-01-01"}) == {"b"}
    assert clinics_between(order, range_tags(("b", "d"), days(0, 1))) == {"b", "c", "d"}
    assert clinics_between(order, {}) == set()


def test_a_box_selects_exactly_its_clinics_and_dates(instance: DagsterInstance) -> None:
    register_clinics(instance, ["a", "b", "c"])
    tags = range_tags(("a", "b"), days(0, 1))
    found = clinic_days(START).get_partition_keys_in_range(
        dg.PartitionKeyRange(*tags.values()), dynamic_partitions_store=instance
    )
    assert set(found) == {f"{slug}|{day}" for slug in ("a", "b") for day in days(0, 1)}
