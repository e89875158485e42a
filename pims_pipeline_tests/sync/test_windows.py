"""The business dates of a sync, by default and on request."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Scope
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.sync.windows import chosen_window, default_window

TODAY = date(2026, 3, 10)
LONG_AGO = date(2025, 1, 1)


@pytest.mark.parametrize(
    ("scope", "first", "last"),
    [
        ("inbound", date(2026, 3, 10), date(2026, 3, 15)),
        ("cases", date(2026, 1, 23), date(2026, 3, 10)),
        ("reconcile", date(2026, 3, 7), date(2026, 3, 15)),
        ("full", date(2026, 3, 7), date(2026, 3, 15)),
    ],
)
def test_each_sync_has_its_default_dates(scope: Scope, first: date, last: date) -> None:
    config = ScheduleConfig(days_ahead=5, lookback_days=3)

    assert default_window(scope, TODAY, config, earliest=LONG_AGO) == DateRange(first, last)


def test_consultations_are_fetched_for_as_long_as_they_are_corrected() -> None:
    oldest = max(EnrichmentPolicy().recheck_ages).days
    for lookback_days, expected in ((oldest - 1, oldest + 1), (oldest + 30, oldest + 30)):
        config = ScheduleConfig(lookback_days=lookback_days)
        window = default_window("cases", TODAY, config, earliest=LONG_AGO)
        assert window == DateRange(TODAY - timedelta(days=expected), TODAY)


@pytest.mark.parametrize("scope", ["cases", "reconcile", "full"])
def test_defaults_do_not_reach_back_beyond_the_first_partition(scope: Scope) -> None:
    window = default_window(scope, TODAY, ScheduleConfig(), earliest=TODAY - timedelta(days=2))

    assert window.start == TODAY - timedelta(days=2)


@given(st.dates(date(2026, 1, 1), TODAY + timedelta(days=7)))
def test_a_full_sync_never_starts_later_than_its_default(first: date) -> None:
    default = default_window("full", TODAY, ScheduleConfig(), earliest=LONG_AGO)
    window = chosen_window("full", default, first, None)

    assert window.start == min(first, default.start)
    assert window.end == default.end


@given(st.dates(date(2026, 1, 1), TODAY))
def test_other_syncs_start_at_the_requested_date(first: date) -> None:
    default = default_window("reconcile", TODAY, ScheduleConfig(), earliest=LONG_AGO)

    assert chosen_window("reconcile", default, first, TODAY) == DateRange(first, TODAY)


def test_the_widest_configuration_stays_within_the_limit_of_a_request() -> None:
    config = ScheduleConfig(days_ahead=90, lookback_days=365)
    window = default_window("reconcile", TODAY, config, earliest=LONG_AGO)
    assert window.end == TODAY + timedelta(days=90)
    assert len(window) == 366
