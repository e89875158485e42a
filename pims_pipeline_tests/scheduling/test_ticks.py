"""The ticks of cron expressions in time zones, against an oracle."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pims_pipeline.scheduling.cron import parse_cron
from pims_pipeline.scheduling.ticks import latest_tick, next_ticks
from pims_pipeline_tests.scheduling.clinics import times
from pims_pipeline_tests.scheduling.oracle import (
    DAYS_WATCHED,
    HALF_PAST_TWO,
    MINUTE,
    NEW_YORK,
    QUARTERS,
    SCENES,
    Expression,
    expressions,
    ticks_of,
)


@given(expression=expressions(), scene=st.sampled_from(SCENES))
@example(expression=QUARTERS, scene=SCENES[2])
@example(expression=HALF_PAST_TWO, scene=SCENES[1])
@example(expression=HALF_PAST_TWO, scene=SCENES[6])
@settings(max_examples=100, deadline=None)
def test_ticks_are_those_of_the_oracle(expression: Expression, scene: tuple[str, datetime]) -> None:
    zone, start = scene
    expected = ticks_of(expression, zone, start)
    end = start + timedelta(days=DAYS_WATCHED)
    found = next_ticks(
        parse_cron(expression.text), ZoneInfo(zone), start - MINUTE, len(expected) + 1
    )
    assert [tick for tick in found if tick < end] == expected


@given(
    expression=expressions(),
    scene=st.sampled_from(SCENES),
    seconds=st.integers(0, DAYS_WATCHED * 24 * 60 * 60 - 1),
)
@example(expression=QUARTERS, scene=SCENES[2], seconds=(8 * 24 + 6) * 3600 + 20 * 60)
@settings(max_examples=100, deadline=None)
def test_the_latest_tick_is_the_oracle_s_last(
    expression: Expression, scene: tuple[str, datetime], seconds: int
) -> None:
    zone, start = scene
    at = start + timedelta(seconds=seconds)
    seen = [tick for tick in ticks_of(expression, zone, start) if tick <= at]
    found = latest_tick(parse_cron(expression.text), ZoneInfo(zone), at)
    if seen:
        assert found == seen[-1]
    else:
        assert found is None or found < start


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        # 02:00 to 03:00 is skipped on 8 March.
        ("30 2 * * *", "2026-03-08T00:00", ["2026-03-08T03:00", "2026-03-09T02:30"]),
        ("5,35 2 * * *", "2026-03-08T00:00", ["2026-03-08T03:00", "2026-03-09T02:05"]),
        ("0 2,3 * * *", "2026-03-08T00:00", ["2026-03-08T03:00", "2026-03-09T02:00"]),
        # 01:00 to 02:00 is repeated on 1 November.
        ("30 1 * * *", "2026-11-01T00:00", ["2026-11-01T01:30", "2026-11-02T01:30"]),
        ("30 1 * * *", "2026-11-01T01:10B", ["2026-11-02T01:30"]),
        ("*/30 * * * *", "2026-11-01T01:15", ["2026-11-01T01:30", "2026-11-01T02:00"]),
        # If both kinds of days are given, either matches.
        ("0 9 13 * FRI", "2026-02-10T00:00", ["2026-02-13T09:00", "2026-02-20T09:00"]),
        ("0 9 L * *", "2026-02-10T00:00", ["2026-02-28T09:00", "2026-03-31T09:00"]),
        ("0 9 * * mon#1", "2026-02-10T00:00", ["2026-03-02T09:00", "2026-04-06T09:00"]),
        ("0 0 29 2 *", "2026-02-10T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_what_an_expression_means_in_new_york(cron: str, after: str, expected: list[str]) -> None:
    (start,) = times(NEW_YORK, after)
    found = next_ticks(parse_cron(cron), ZoneInfo(NEW_YORK), start, len(expected))
    assert found == times(NEW_YORK, *expected)
