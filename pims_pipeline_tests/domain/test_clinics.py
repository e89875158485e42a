"""Business dates, windows, and local time to UTC at every clock change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import (
    MAX_REQUEST_DAYS,
    Clinic,
    DateRange,
    business_date,
    checked_slug,
    day_bounds,
    local_to_utc,
    windows_of,
    zone_named,
)
from pims_pipeline_tests.domain.strategies import ZONES, clinics, date_ranges, days, moments, zones

SECOND = timedelta(seconds=1)
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


@cache
def clock_changes(name: str) -> tuple[datetime, ...]:
    """The first time of every new offset in 2020-2030, found by search instead of rules."""
    zone = ZoneInfo(name)
    steps = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days + 1)]
    return tuple(
        _first_moment_with(offset(after, zone), before, after, zone)
        for before, after in pairwise(steps)
        if offset(before, zone) != offset(after, zone)
    )


def _first_moment_with(
    wanted: timedelta, before: datetime, after: datetime, zone: ZoneInfo
) -> datetime:
    while after - before > SECOND:
        middle = before + timedelta(seconds=(after - before) // SECOND // 2)
        if offset(middle, zone) == wanted:
            after = middle
        else:
            before = middle
    return after


def around(change: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    """Wall-clock times near a change, to the second at its edges, with the clock's jump."""
    old, new = offset(change - SECOND, zone), offset(change, zone)
    edges = [change.replace(tzinfo=None) + each for each in (old, new)]
    for edge in edges:
        for second in (-1, 0, 1):
            yield edge + second * SECOND, new - old
    for quarter in range(-12, 13):
        yield edges[0] + timedelta(minutes=15 * quarter), new - old


def moments_showing(local: datetime, change: datetime, zone: ZoneInfo) -> list[datetime]:
    """When the clock showed ``local``, earliest first: never, once or twice."""
    candidates = {
        local.replace(tzinfo=UTC) - offset(moment, zone) for moment in (change - SECOND, change)
    }
    return sorted(moment for moment in candidates if wall_clock(moment, zone) == local)


@pytest.mark.parametrize("name", ZONES)
def test_local_time_agrees_with_the_zone_database_on_every_clock_change(name: str) -> None:
    zone = ZoneInfo(name)
    for change in clock_changes(name):
        for local, jump in around(change, zone):
            shown = moments_showing(local, change, zone)
            moment = local_to_utc(local, zone)
            if shown:
                assert moment == shown[0], f"{local} in {name}"
            else:
                assert jump > timedelta(0)
                assert wall_clock(moment, zone) == local + jump, f"{local} in {name}"
            assert moment.tzinfo is UTC


def test_the_scan_finds_the_clock_changes_it_should() -> None:
    twice_a_year = {"America/New_York", "Europe/London", "Australia/Sydney", "Pacific/Auckland"}
    assert {name for name in ZONES if len(clock_changes(name)) == 22} >= twice_a_year
    assert clock_changes("Asia/Kolkata") == ()
    assert datetime(2026, 3, 8, 7, tzinfo=UTC) in clock_changes("America/New_York")
    half_hours = {
        abs(offset(change, lord_howe) - offset(change - SECOND, lord_howe))
        for lord_howe in [ZoneInfo("Australia/Lord_Howe")]
        for change in clock_changes("Australia/Lord_Howe")
    }
    assert half_hours == {timedelta(minutes=30)}


def test_the_scan_meets_skipped_and_repeated_times() -> None:
    met = {
        len(moments_showing(local, change, ZoneInfo(name)))
        for name in ZONES
        for change in clock_changes(name)
        for local, _ in around(change, ZoneInfo(name))
    }
    assert met == {0, 1, 2}


@given(moments, zones)
def test_every_time_comes_back_from_the_wall_clock_or_as_its_first_occurrence(
    moment: datetime, zone: ZoneInfo
) -> None:
    again = local_to_utc(wall_clock(moment, zone), zone)
    if moment.astimezone(zone).fold:
        assert again < moment
        assert wall_clock(again, zone) == wall_clock(moment, zone)
    else:
        assert again == moment


def test_a_fold_that_a_caller_left_on_is_ignored() -> None:
    repeated = datetime(2026, 11, 1, 1, 30, fold=1)  # noqa: DTZ001 - a wall clock
    assert local_to_utc(repeated, ZoneInfo("America/New_York")).hour == 5


def test_a_wall_clock_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="must not carry a zone"):
        local_to_utc(datetime(2026, 3, 5, tzinfo=UTC), ZoneInfo("UTC"))


@given(moments, zones)
def test_a_time_lies_within_the_bounds_of_its_business_date(
    moment: datetime, zone: ZoneInfo
) -> None:
    day = business_date(moment, zone)
    first, after = day_bounds(DateRange(day, day), zone)
    assert first <= moment < after
    assert business_date(first, zone) == day
    assert business_date(after, zone) == day + timedelta(days=1)
    assert business_date(first - SECOND, zone) == day - timedelta(days=1)


def test_a_day_whose_midnight_was_skipped_begins_after_the_gap() -> None:
    tehran = ZoneInfo("Asia/Tehran")
    day = date(2021, 3, 22)
    first, after = day_bounds(DateRange(day, day), tehran)
    assert wall_clock(first, tehran).hour == 1
    assert after - first == timedelta(hours=23)


@given(date_ranges(), zones)
def test_the_bounds_of_days_meet_without_gap_or_overlap(window: DateRange, zone: ZoneInfo) -> None:
    singles = [day_bounds(DateRange(day, day), zone) for day in window]
    assert all(left[1] == right[0] for left, right in pairwise(singles))
    assert day_bounds(window, zone) == (singles[0][0], singles[-1][1])


some_days = st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 1)) | days, max_size=60)


@given(some_days, st.integers(1, 31))
@example({date(2026, 1, 1) + timedelta(days=n) for n in range(62)}, 31)
def test_windows_hold_exactly_the_selected_dates(selected: set[date], max_days: int) -> None:
    windows = windows_of(selected, max_days)
    covered = [day for window in windows for day in window]
    assert covered == sorted(selected)
    assert all(len(window) <= max_days for window in windows)


@given(some_days, st.integers(1, 31))
def test_there_are_as_few_windows_as_there_can_be(selected: set[date], max_days: int) -> None:
    starts_of_runs = [day for day in selected if day - timedelta(days=1) not in selected]
    fewest = 0
    for start in starts_of_runs:
        length = 0
        while start + timedelta(days=length) in selected:
            length += 1
        fewest += -(-length // max_days)
    assert len(windows_of(selected, max_days)) == fewest


def test_dates_named_twice_and_out_of_order_make_one_window() -> None:
    first, second = date(2026, 3, 5), date(2026, 3, 6)
    assert windows_of([second, first, second]) == [DateRange(first, second)]


def test_a_range_turned_round_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts on 2026-03-05"):
        DateRange(date(2026, 3, 5), date(2026, 3, 4))


def test_the_longest_range_is_366_days() -> None:
    start = date(2026, 1, 1)
    longest = DateRange(start, start + timedelta(days=MAX_REQUEST_DAYS - 1))
    assert len(longest) == 366
    with pytest.raises(ValueError, match="at most 366"):
        DateRange(start, longest.end + timedelta(days=1))


@given(date_ranges(max_days=366), st.integers(1, 40))
def test_a_range_is_split_without_losing_a_day(window: DateRange, max_days: int) -> None:
    pieces = list(window.split(max_days))
    assert [day for piece in pieces for day in piece] == list(window)
    assert all(len(piece) == max_days for piece in pieces[:-1])
    assert len(pieces[-1]) <= max_days


@given(date_ranges(), date_ranges())
def test_a_range_covers_another_when_it_holds_all_its_dates(
    one: DateRange, other: DateRange
) -> None:
    assert one.covers(other) == (set(other) <= set(one))
    assert one.covers(one)


@given(date_ranges(max_days=5), st.integers(-6, 6), st.integers(0, 6))
def test_ranges_overlap_when_they_share_a_date(window: DateRange, shift: int, days: int) -> None:
    start = window.start + timedelta(days=shift)
    other = DateRange(start, start + timedelta(days=days))
    assert window.overlaps(other) == other.overlaps(window) == bool({*window} & {*other})


def test_ranges_that_share_only_their_edge_overlap() -> None:
    early = DateRange(date(2026, 3, 1), date(2026, 3, 5))
    late = DateRange(date(2026, 3, 5), date(2026, 3, 9))
    assert early.overlaps(late)
    assert late.overlaps(early)
    assert not early.overlaps(DateRange(date(2026, 3, 6), date(2026, 3, 9)))
    assert not late.overlaps(DateRange(date(2026, 3, 1), date(2026, 3, 4)))


@given(date_ranges(max_days=5), st.integers(-2, 2), st.integers(-2, 2))
def test_covering_is_exact_at_the_edges(window: DateRange, left: int, right: int) -> None:
    start, end = window.start + timedelta(days=left), window.end + timedelta(days=right)
    if start <= end:
        assert window.covers(DateRange(start, end)) == (left >= 0 and right <= 0)
        assert (start in window) == (left >= 0 and start <= window.end)


def test_only_dates_can_lie_in_a_range() -> None:
    assert "2026-03-05" not in DateRange(date(2026, 3, 5), date(2026, 3, 5))


@given(clinics())
def test_a_clinic_has_the_zone_and_the_slug_that_were_checked(clinic: Clinic) -> None:
    assert clinic.zone.key == clinic.timezone
    assert checked_slug(clinic.slug) == clinic.slug


@pytest.mark.parametrize("slug", ["", "a", "-ab", "Ab", "a_b", "a|b", "a" * 41, "ab\n", "äb"])
def test_a_slug_that_could_break_keys_and_addresses_is_refused(slug: str) -> None:
    with pytest.raises(ValueError, match="is not a clinic slug"):
        checked_slug(slug)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "posixrules",
        "right/UTC",
        "America",
        "a\x00b",
        "\ud800",
        "x" * 300,
    ],
)
def test_an_unknown_zone_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(ValueError, match="use an IANA name"):
        zone_named(name)


def test_a_known_zone_is_found() -> None:
    assert zone_named("Pacific/Auckland") == ZoneInfo("Pacific/Auckland")


def test_a_range_prints_both_its_dates() -> None:
    assert str(DateRange(date(2026, 3, 5), date(2026, 3, 11))) == "2026-03-05..2026-03-11"
