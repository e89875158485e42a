"""The geometry of plots: bars stay inside, and the highest one reaches the top."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.console.plots import activity_plots
from pims_pipeline.domain.console.activity import DayActivity

COUNTS = st.integers(0, 10**7)
SECONDS = st.floats(0, 10**5) | st.none()


@st.composite
def days(draw: st.DrawFn) -> list[DayActivity]:
    made = []
    for number in range(draw(st.integers(1, 14))):
        mean = draw(SECONDS)
        longest = None if mean is None else mean + draw(st.floats(0, 10**5))
        made.append(
            DayActivity(
                day=date(2026, 3, 1) + timedelta(days=number),
                completed=draw(COUNTS),
                held=draw(COUNTS),
                failed=draw(COUNTS),
                mean_seconds=mean,
                longest_seconds=longest,
                changes=draw(COUNTS),
            )
        )
    return made


@given(days())
def test_bars_stay_within_the_axes_and_on_top_of_one_another(given_days: list[DayActivity]) -> None:
    for plot in activity_plots(given_days):
        for day in plot.days:
            bottom = float(plot.below)
            for bar in day.bars:
                assert plot.left <= bar.x
                assert bar.x + bar.width <= plot.right + 0.02
                assert abs(bar.y + bar.height - bottom) <= 0.03
                assert bar.y >= plot.above - 0.03
                bottom = bar.y


@given(days())
def test_each_day_has_its_values_as_text_too(given_days: list[DayActivity]) -> None:
    for plot in activity_plots(given_days):
        assert [each.day for each in plot.days] == [each.day for each in given_days]
        assert {len(each.values) for each in plot.days} == {len(plot.columns)}
