"""An oracle for ticks: it checks the wall clock at every minute of some days.

Independent of the code under test. ``SCENES`` holds the kinds of clock changes.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
NEW_YORK = "America/New_York"
DAYS_WATCHED = 10

SCENES = [
    ("UTC", datetime(2026, 2, 20, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 2, 28, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 10, 24, tzinfo=UTC)),
    ("Europe/London", datetime(2026, 3, 21, tzinfo=UTC)),
    ("Europe/Dublin", datetime(2026, 10, 17, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 3, 27, tzinfo=UTC)),  # half an hour, repeated
    ("Australia/Lord_Howe", datetime(2026, 9, 25, tzinfo=UTC)),  # half an hour, skipped
    ("Antarctica/Troll", datetime(2026, 3, 21, tzinfo=UTC)),  # two hours, skipped
    ("Antarctica/Troll", datetime(2026, 10, 17, tzinfo=UTC)),  # two hours, repeated
    ("America/Sao_Paulo", datetime(2017, 10, 7, tzinfo=UTC)),  # midnight, skipped
    ("America/Sao_Paulo", datetime(2018, 2, 10, tzinfo=UTC)),  # midnight, repeated
    ("America/St_Johns", datetime(2010, 10, 30, tzinfo=UTC)),  # a minute past midnight
    ("Asia/Kathmandu", datetime(2026, 5, 1, tzinfo=UTC)),  # 5:45 east, no changes
    ("Pacific/Apia", datetime(2011, 12, 22, tzinfo=UTC)),  # a whole day, skipped
    ("Pacific/Kwajalein", datetime(1993, 8, 13, tzinfo=UTC)),  # also
]
"""Time zones, and a time eight days before a clock change of each kind."""


@cache
def shown(zone: str, start: datetime) -> list[tuple[datetime, list[datetime]]]:
    """Every minute from ``start`` on, with the wall clock's minutes that it reaches.

    A wall clock that jumps ahead reaches all minutes in between at once. One that is put back
    reaches none until it has caught up.
    """
    tz = ZoneInfo(zone)
    walk = []
    furthest = (start - timedelta(days=2)).astimezone(tz).replace(tzinfo=None)
    for number in range(-2 * 24 * 60, DAYS_WATCHED * 24 * 60):
        minute = start + number * MINUTE
        clock = minute.astimezone(tz).replace(tzinfo=None)
        reached = []
        while furthest < clock:
            furthest += MINUTE
            reached.append(furthest)
        if number >= 0:
            walk.append((minute, reached))
    return walk


@dataclass(frozen=True)
class Expression:
    """A cron expression, as text and as sets."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    weekdays: frozenset[int] = field(default=frozenset(range(7)))
    days: frozenset[int] = field(default=frozenset(range(1, 32)))
    either_day: bool = False

    def names(self, local: datetime) -> bool:
        if local.minute not in self.minutes or local.hour not in self.hours:
            return False
        of_month = local.day in self.days
        of_week = local.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


@lru_cache(maxsize=500)
def ticks_of(expression: Expression, zone: str, start: datetime) -> list[datetime]:
    return [minute for minute, reached in shown(zone, start) if any(map(expression.names, reached))]


def _fields(first: int, last: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    everything = range(first, last + 1)
    number = st.integers(first, last)
    return st.one_of(
        st.just(("*", frozenset(everything))),
        st.integers(2, last).map(lambda step: (f"*/{step}", frozenset(everything[::step]))),
        st.lists(number, min_size=1, max_size=4, unique=True).map(
            lambda numbers: (",".join(map(str, numbers)), frozenset(numbers))
        ),
        st.tuples(number, number).map(
            lambda ends: (
                f"{min(ends)}-{max(ends)}",
                frozenset(range(min(ends), max(ends) + 1)),
            )
        ),
    )


@st.composite
def expressions(draw: st.DrawFn, *, weekly: bool = False) -> Expression:
    """Cron expressions; ``weekly`` ones tick at least once a week."""
    minutes, hours = draw(_fields(0, 59)), draw(_fields(0, 23))
    weekdays = draw(_fields(0, 6))
    days = ("*", frozenset(range(1, 32))) if weekly else draw(_fields(1, 31))
    return Expression(
        text=f"{minutes[0]} {hours[0]} {days[0]} * {weekdays[0]}",
        minutes=minutes[1],
        hours=hours[1],
        weekdays=weekdays[1],
        days=days[1],
        either_day=not days[0].startswith("*") and not weekdays[0].startswith("*"),
    )


QUARTERS = Expression("*/15 * * * *", frozenset({0, 15, 30, 45}), frozenset(range(24)))
HALF_PAST_TWO = Expression("30 2 * * *", frozenset({30}), frozenset({2}))
