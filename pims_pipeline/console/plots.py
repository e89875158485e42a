"""Bars for each day as geometry of an SVG, which a template draws. Pure.

A plot has no style of its own: its parts have classes, for which ``console.css`` has the colours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pims_pipeline.domain.console.activity import DayActivity

WIDTH, HEIGHT = 420, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 4, 8, 20
_GAP = 0.25
"""The part of a day's width that stays empty."""

Part = tuple[str, str, Callable[[DayActivity], float]]
"""A part of each bar: its class, its name, its value."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; lengths are in the units of the plot."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class PlotDay:
    """A day's bars, and its values as text."""

    day: date
    bars: tuple[Bar, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, which is also a table.

    Attributes:
        name: What it shows.
        columns: The names of the parts, with their classes.
        top: The value of its highest line, as text.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    days: tuple[PlotDay, ...]
    top: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    above: int = _TOP
    below: int = HEIGHT - _BOTTOM


def activity_plots(days: Sequence[DayActivity]) -> tuple[Plot, ...]:
    """The plots of syncs, durations and changes."""
    return (
        stacked(
            "Syncs per day",
            days,
            (
                ("good", "completed", lambda each: each.completed),
                ("held", "held", lambda each: each.held),
                ("bad", "failed or interrupted", lambda each: each.failed),
            ),
        ),
        stacked(
            "Duration of a phase, in seconds",
            days,
            (
                ("plain", "mean", lambda each: each.mean_seconds or 0),
                (
                    "pale",
                    "longest, above the mean",
                    lambda each: (each.longest_seconds or 0) - (each.mean_seconds or 0),
                ),
            ),
        ),
        stacked(
            "Changes of cases per day", days, (("plain", "changes", lambda each: each.changes),)
        ),
    )


def stacked(name: str, days: Sequence[DayActivity], parts: Sequence[Part]) -> Plot:
    """A plot with one bar for each day, whose parts are on top of one another."""
    totals = [sum(value(day) for _, _, value in parts) for day in days]
    highest = max([*totals, 1])
    step = (WIDTH - _LEFT - _RIGHT) / max(len(days), 1)
    return Plot(
        name=name,
        columns=tuple((kind, title) for kind, title, _ in parts),
        days=tuple(
            PlotDay(
                day=day.day,
                bars=tuple(_bars(day, parts, _LEFT + number * step, step, highest)),
                values=tuple(_number(value(day)) for _, _, value in parts),
            )
            for number, day in enumerate(days)
        ),
        top=_number(highest),
    )


def _bars(
    day: DayActivity, parts: Sequence[Part], x: float, step: float, highest: float
) -> list[Bar]:
    bars, below = [], float(HEIGHT - _BOTTOM)
    for kind, _, value in parts:
        height = value(day) / highest * (HEIGHT - _TOP - _BOTTOM)
        below -= height
        if height > 0:
            bars.append(
                Bar(
                    x=round(x + step * _GAP / 2, 2),
                    y=round(below, 2),
                    width=round(step * (1 - _GAP), 2),
                    height=round(height, 2),
                    kind=kind,
                )
            )
    return bars


def _number(value: float) -> str:
    """A short number, such as ``1,204`` or ``3.5``."""
    whole = float(value).is_integer() or value >= 100  # noqa: PLR2004 - three digits are enough
    return f"{value:,.0f}" if whole else f"{value:.1f}"
