"""Filters of templates: what they make of any value."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.console.rendering import clock_time, local_time, shown_fact

ZONE = "America/New_York"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-03-09T14:05:00+00:00", "2026-03-09 10:05"),
        # A name that looks like a time, and is none.
        ("2026-13-45T25:61:61+00:00", "2026-13-45T25:61:61+00:00"),
        # It would lie before the calendar begins.
        ("0001-01-01T00:00:00+00:00", "0001-01-01 00:00"),
        (None, "—"),
    ],
)
def test_a_value_of_a_change_is_shown_as_the_clinics_clocks_show_it(
    value: str | None, shown: str
) -> None:
    assert shown_fact(value, ZONE) == shown


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from([ZONE, "Pacific/Apia", "UTC"]))
def test_every_time_can_be_shown(when: datetime, zone: str) -> None:
    assert len(local_time(when, zone)) == len("2026-03-09 14:05")
    assert local_time(when, zone).endswith(clock_time(when, zone))
    assert shown_fact(when.astimezone(UTC).isoformat(), zone)
