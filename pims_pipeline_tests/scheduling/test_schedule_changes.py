"""Sequences of decisions through edits, restarts and clock jumps, against an oracle."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule, ScheduleConfig
from pims_pipeline.scheduling.timetable import DueTick, decide
from pims_pipeline_tests.scheduling.clinics import schedule
from pims_pipeline_tests.scheduling.oracle import (
    DAYS_WATCHED,
    QUARTERS,
    SCENES,
    Expression,
    expressions,
    ticks_of,
)

DECIDE = "decide"
DECIDE_AND_DIE = "decide and die"
EDIT = "edit"
MOVE = "move to another zone"
CLOCK = "clock jumps"

histories = st.lists(
    st.one_of(
        st.tuples(st.just(DECIDE), st.sampled_from([30, 30, 30, 600, 5_000, 40_000])),
        st.tuples(st.just(DECIDE_AND_DIE), st.sampled_from([30, 900])),
        st.tuples(st.just(EDIT), st.integers(0, 1), expressions(weekly=True)),
        st.tuples(st.just(MOVE), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just(CLOCK), st.sampled_from([-20_000, -3_599, -90, 90, 7_000])),
    ),
    min_size=10,
    max_size=60,
)
zone_pairs = st.sampled_from(
    [
        (start, (zone, other))
        for zone, start in SCENES
        for other in ("UTC", "America/Denver", "Asia/Kathmandu")
    ]
)


def expected_due(
    clinics: Sequence[ClinicSchedule],
    meant: Sequence[Expression],
    start: datetime,
    since: datetime,
    now: datetime,
) -> list[tuple[str, datetime]]:
    """What is due by the oracle's ticks; each clinic has one phase."""
    found = []
    for clinic, expression in zip(clinics, meant, strict=True):
        recorded = (clinic.scheduled_since, *clinic.changed_at.values())
        # A time recorded by a clock that was ahead and was set back since does not count.
        void = max((each for each in recorded if each <= now + timedelta(minutes=1)), default=start)
        ticks = ticks_of(expression, clinic.clinic.timezone, start)
        latest = bisect_right(ticks, now) - 1
        if latest < 0 or ticks[latest] <= max(since, void):
            continue
        if latest == 0 or now - ticks[latest] < ticks[latest] - ticks[latest - 1]:
            found.append((clinic.clinic.slug, ticks[latest]))
    return found


@given(
    first=expressions(weekly=True),
    second=expressions(weekly=True),
    scene=zone_pairs,
    steps=histories,
)
@settings(max_examples=100, deadline=None)
def test_through_edits_restarts_and_clock_jumps_due_is_what_the_oracle_says(
    first: Expression,
    second: Expression,
    scene: tuple[datetime, tuple[str, str]],
    steps: list[tuple[object, ...]],
) -> None:
    start, zones = scene
    # The oracle needs a week to know the previous tick.
    now = start + timedelta(days=8, seconds=17)
    meant = [first, second]
    clinics = [
        schedule(slug, zone=zone, since=now, changed_at=now, inbound=expression.text)
        for slug, zone, expression in zip(("alder", "birch"), zones, meant, strict=True)
    ]
    since: datetime | None = None
    fired: list[tuple[str, datetime]] = []
    for step in steps:
        if now > start + timedelta(days=DAYS_WATCHED, hours=-13):
            break
        match step:
            case ("decide" | "decide and die" as kind, int(seconds)):
                now += timedelta(seconds=seconds)
                decision = decide(clinics, since, now)
                found = [(each.slug, each.tick) for each in decision.due]
                if since is None or now < since:
                    assert found == []
                else:
                    assert found == expected_due(clinics, meant, start, since, now)
                if kind == DECIDE_AND_DIE:
                    continue
                if decision.started_over:
                    fired.clear()
                # No tick is due twice.
                assert not set(fired) & set(found)
                fired += found
                since = decision.until
            case ("edit", int(which), Expression() as expression):
                now += timedelta(seconds=1)
                meant[which] = expression
                clinics[which] = replace(
                    clinics[which],
                    config=ScheduleConfig(
                        sync_schedules={
                            **dict.fromkeys(Phase, "off"),
                            Phase.INBOUND: expression.text,
                        }
                    ),
                    changed_at={Phase.INBOUND: now},
                )
            case ("move to another zone", int(which), int(zone)):
                now += timedelta(seconds=1)
                moved = replace(clinics[which].clinic, timezone=zones[zone])
                clinics[which] = replace(clinics[which], clinic=moved, scheduled_since=now)
            case ("clock jumps", int(seconds)):
                now = max(now + timedelta(seconds=seconds), start + timedelta(days=8))


def test_every_tick_of_a_day_is_due_exactly_once() -> None:
    zone, start = SCENES[1]
    clinics = [schedule(zone=zone, inbound=QUARTERS.text)]
    day = start + timedelta(days=8)
    since: datetime | None = day
    fired: list[DueTick] = []
    for now in _every(day, timedelta(seconds=30)):
        decision = decide(clinics, since, now)
        fired += decision.due
        since = decision.until
    expected = [
        tick for tick in ticks_of(QUARTERS, zone, start) if day < tick <= day + timedelta(days=1)
    ]
    assert [each.tick for each in fired] == expected


def _every(start: datetime, interval: timedelta) -> Iterator[datetime]:
    now = start
    while now < start + timedelta(days=1):
        now += interval
        yield now
