"""Cron expressions in zones, and what is due: against an oracle that looks at every minute."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ClinicSchedule, ScheduleConfig
from pims_pipeline.scheduling.timetable import (
    BadCron,
    Decision,
    DueTick,
    decide,
    latest_tick,
    malformed_crons,
    next_ticks,
    parse_cron,
    parse_schedule,
)

MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
NEW_YORK = "America/New_York"
DAYS_WATCHED = 10

# Each eight days before a clock change of its own kind, if there is one.
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


@cache
def shown(zone: str, start: datetime) -> list[tuple[datetime, list[datetime]]]:
    """Every minute from then on, with the wall clock's minutes that had come by then.

    A wall clock that jumps ahead comes to all minutes in between at once; one that is put
    back comes to none until it has caught up.
    """
    place = ZoneInfo(zone)
    walk = []
    furthest = (start - timedelta(days=2)).astimezone(place).replace(tzinfo=None)
    for number in range(-2 * 24 * 60, DAYS_WATCHED * 24 * 60):
        moment = start + number * MINUTE
        clock = moment.astimezone(place).replace(tzinfo=None)
        come = []
        while furthest < clock:
            furthest += MINUTE
            come.append(furthest)
        if number >= 0:
            walk.append((moment, come))
    return walk


@dataclass(frozen=True)
class Plan:
    """A cron expression, as text and as the sets that it means."""

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
def ticks_of(plan: Plan, zone: str, start: datetime) -> list[datetime]:
    return [moment for moment, come in shown(zone, start) if any(map(plan.names, come))]


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
def plans(draw: st.DrawFn, *, weekly: bool = False) -> Plan:
    """Expressions; ``weekly`` ones tick at least once a week."""
    minutes, hours = draw(_fields(0, 59)), draw(_fields(0, 23))
    weekdays = draw(_fields(0, 6))
    days = ("*", frozenset(range(1, 32))) if weekly else draw(_fields(1, 31))
    return Plan(
        text=f"{minutes[0]} {hours[0]} {days[0]} * {weekdays[0]}",
        minutes=minutes[1],
        hours=hours[1],
        weekdays=weekdays[1],
        days=days[1],
        either_day=not days[0].startswith("*") and not weekdays[0].startswith("*"),
    )


QUARTERS = Plan("*/15 * * * *", frozenset({0, 15, 30, 45}), frozenset(range(24)))
HALF_PAST_TWO = Plan("30 2 * * *", frozenset({30}), frozenset({2}))


@given(plan=plans(), scene=st.sampled_from(SCENES))
@example(plan=QUARTERS, scene=SCENES[2])
@example(plan=HALF_PAST_TWO, scene=SCENES[1])
@example(plan=HALF_PAST_TWO, scene=SCENES[6])
@settings(max_examples=100, deadline=None)
def test_ticks_are_those_of_a_clock_that_is_watched_every_minute(
    plan: Plan, scene: tuple[str, datetime]
) -> None:
    zone, start = scene
    expected = ticks_of(plan, zone, start)
    end = start + timedelta(days=DAYS_WATCHED)
    found = next_ticks(parse_cron(plan.text), ZoneInfo(zone), start - MINUTE, len(expected) + 1)
    assert [tick for tick in found if tick < end] == expected


@given(
    plan=plans(),
    scene=st.sampled_from(SCENES),
    seconds=st.integers(0, DAYS_WATCHED * 24 * 60 * 60 - 1),
)
@example(plan=QUARTERS, scene=SCENES[2], seconds=(8 * 24 + 6) * 3600 + 20 * 60)
@settings(max_examples=100, deadline=None)
def test_the_latest_tick_is_the_last_one_seen(
    plan: Plan, scene: tuple[str, datetime], seconds: int
) -> None:
    zone, start = scene
    at = start + timedelta(seconds=seconds)
    seen = [tick for tick in ticks_of(plan, zone, start) if tick <= at]
    found = latest_tick(parse_cron(plan.text), ZoneInfo(zone), at)
    if seen:
        assert found == seen[-1]
    else:
        assert found is None or found < start


def moments(zone: str, *clocks: str) -> list[datetime]:
    """Moments by a wall clock in the zone; one that ends in ``B`` is the second such."""
    found = []
    for clock in clocks:
        local = datetime.fromisoformat(clock.removesuffix("B"))
        place = local.replace(tzinfo=ZoneInfo(zone), fold=int(clock.endswith("B")))
        found.append(place.astimezone(UTC))
    return found


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
        # Either day will do when both are given.
        ("0 9 13 * FRI", "2026-02-10T00:00", ["2026-02-13T09:00", "2026-02-20T09:00"]),
        ("0 9 L * *", "2026-02-10T00:00", ["2026-02-28T09:00", "2026-03-31T09:00"]),
        ("0 9 * * mon#1", "2026-02-10T00:00", ["2026-03-02T09:00", "2026-04-06T09:00"]),
        ("0 0 29 2 *", "2026-02-10T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_what_an_expression_means_in_new_york(cron: str, after: str, expected: list[str]) -> None:
    (start,) = moments(NEW_YORK, after)
    found = next_ticks(parse_cron(cron), ZoneInfo(NEW_YORK), start, len(expected))
    assert found == moments(NEW_YORK, *expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is not a cron expression of five fields"),
        ("@daily", "'@daily' is not a cron expression of five fields"),
        ("0 */15 * * * *", "five fields"),
        ("61 * * * *", "its minute is none"),
        ("*/0 * * * *", "its minute is none"),
        ("* 24 * * *", "its hour is none"),
        ("* * 0 * *", "its day of month is none"),
        ("0 0 30 2 *", "its day of month is none, or never comes"),
        ("0 0 31 4,6,9,11 *", "or never comes"),
        ("* * * 13 *", "its month is none"),
        ("* * * * someday", "its day of week is none"),
        ("* * * * ²L", "its day of week is none"),
        ("1" * 5_000 + " * * * *", "has more than 200 characters"),
        ("9" * 190 + " * * * *", "its minute is none"),
    ],
)
def test_what_is_no_cron_expression_is_told_what_is_wrong_with_it(text: str, told: str) -> None:
    assert issubclass(BadCron, UserFacingError)
    assert told in problem(text)
    assert len(problem(text)) < 250


@given(st.text(max_size=60) | st.text("*/-,#LW0123456789 MONJAN", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_words_are_a_cron_expression_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text)
    except BadCron:
        return
    assert len(cron.text.split()) == 5
    assert parse_cron(cron.text) == cron


@pytest.mark.parametrize("text", ["off", "OFF", " Off "])
def test_off_means_never(text: str) -> None:
    assert parse_schedule(text) is None


def test_spelling_is_no_difference() -> None:
    assert parse_cron("  */15 9-17   * * mon-fri") == parse_cron("*/15 9-17 * * MON-FRI")


def problem(text: str) -> str:
    with pytest.raises(BadCron) as caught:
        parse_cron(text)
    return str(caught.value)


# --- What is due -------------------------------------------------------------------------------


def schedule(
    slug: str = "alder",
    zone: str = NEW_YORK,
    since: datetime = LONG_AGO,
    changed_at: datetime | None = None,
    **crons: str,
) -> ClinicSchedule:
    """A clinic's; phases that are not named are off."""
    stored = {phase: crons.get(phase.value, "off") for phase in Phase}
    return ClinicSchedule(
        clinic=Clinic(
            id=UUID(int=int.from_bytes(slug.encode())),
            slug=slug,
            name=slug.title(),
            timezone=zone,
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
            is_active=True,
        ),
        config=ScheduleConfig(sync_schedules=stored),
        scheduled_since=since,
        changed_at={} if changed_at is None else dict.fromkeys(Phase, changed_at),
    )


def at(clock: str) -> datetime:
    """A moment by a clock in New York, in the winter of 2026."""
    return moments(NEW_YORK, f"2026-01-{clock}")[0]


def due(decision: Decision) -> list[tuple[str, str, datetime]]:
    return [(each.slug, each.phase.value, each.tick) for each in decision.due]


def test_nothing_of_the_past_is_due_the_first_time_ever() -> None:
    decision = decide([schedule(inbound="* * * * *")], None, at("05T10:00:30"))
    assert decision == Decision([], [], at("05T10:00:30"))


def test_what_became_due_since_is_due_once() -> None:
    clinics = [schedule(inbound="*/15 * * * *", cases="0 10 * * *", reconciliation="0 2 * * *")]
    decision = decide(clinics, at("05T09:59:40"), at("05T10:00:10"))
    assert due(decision) == [
        ("alder", "inbound", at("05T10:00")),
        ("alder", "cases", at("05T10:00")),
    ]
    assert due(decide(clinics, decision.until, at("05T10:00:40"))) == []


def test_a_tick_is_due_on_its_very_moment_and_never_again() -> None:
    clinics = [schedule(inbound="0 10 * * *")]
    assert due(decide(clinics, at("05T09:00"), at("05T10:00"))) == [
        ("alder", "inbound", at("05T10:00"))
    ]
    assert due(decide(clinics, at("05T10:00"), at("05T10:00"))) == []


def test_however_many_were_missed_one_is_due() -> None:
    decision = decide([schedule(inbound="*/15 * * * *")], at("05T02:00"), at("05T10:20"))
    assert due(decision) == [("alder", "inbound", at("05T10:15"))]


def test_what_was_missed_by_a_whole_interval_is_past() -> None:
    clinics = [schedule(inbound="0,5 9 * * *")]
    assert due(decide(clinics, at("05T08:00"), at("05T09:09:59"))) == [
        ("alder", "inbound", at("05T09:05"))
    ]
    assert due(decide(clinics, at("05T08:00"), at("05T09:10"))) == []


def test_editing_a_schedule_never_starts_the_past() -> None:
    edited = schedule(inbound="0 * * * *", changed_at=at("05T10:20"))
    assert due(decide([edited], at("05T09:30"), at("05T10:20:30"))) == []
    assert due(decide([edited], at("05T10:20:30"), at("05T11:00:10"))) == [
        ("alder", "inbound", at("05T11:00"))
    ]


def test_a_clinic_is_due_only_for_what_comes_after_it_was_registered() -> None:
    new = schedule(inbound="0 * * * *", since=at("05T10:20"))
    assert due(decide([new], at("05T09:30"), at("05T10:20:30"))) == []


def test_a_tick_that_was_skipped_and_counted_is_dealt_with() -> None:
    skipped = replace(schedule(inbound="0 * * * *"), skipped_until={Phase.INBOUND: at("05T10:00")})
    assert due(decide([skipped], at("05T09:59"), at("05T10:00:30"))) == []
    assert due(decide([skipped], at("05T09:59"), at("05T11:00:30"))) == [
        ("alder", "inbound", at("05T11:00"))
    ]


def test_a_skip_noted_by_a_wrong_clock_bars_nothing() -> None:
    skipped = replace(schedule(inbound="0 * * * *"), skipped_until={Phase.INBOUND: at("09T10:00")})
    assert due(decide([skipped], at("05T09:59"), at("05T10:00:30"))) != []


def test_a_malformed_schedule_is_told_and_keeps_nobody_else_from_being_due() -> None:
    clinics = [
        schedule("alder", inbound="often", cases="0 10 * * *"),
        schedule("birch", zone="Mars/Olympus", cases="0 10 * * *"),
        schedule("cedar", inbound="0 10 * * *"),
    ]
    decision = decide(clinics, at("05T09:59"), at("05T10:00"))
    assert due(decision) == [
        ("cedar", "inbound", at("05T10:00")),
        ("alder", "cases", at("05T10:00")),
    ]
    assert decision.malformed == malformed_crons(clinics)
    assert [(each.clinic.slug, each.phase, each.why) for each in decision.malformed] == [
        (
            "alder",
            Phase.INBOUND,
            problem("often"),
        ),
        (
            "birch",
            Phase.CASES,
            "unknown time zone 'Mars/Olympus'; use an IANA name such as America/New_York",
        ),
    ]


def test_a_clock_put_back_a_little_is_waited_for() -> None:
    clinics = [schedule(inbound="* * * * *")]
    decision = decide(clinics, at("05T10:00:30"), at("05T09:30"))
    assert decision == Decision([], [], at("05T10:00:30"))


def test_a_clock_put_back_far_is_believed() -> None:
    clinics = [schedule(inbound="* * * * *")]
    decision = decide(clinics, at("05T10:00:30"), at("05T08:00"))
    assert decision == Decision([], [], at("05T08:00"), started_over=True)
    assert due(decide(clinics, decision.until, at("05T08:01"))) == [
        ("alder", "inbound", at("05T08:01"))
    ]


# --- A life of schedules against the oracle ----------------------------------------------------

LOOK = "look"
LOOK_AND_DIE = "look and die"
EDIT = "edit"
MOVE = "move to another zone"
CLOCK = "clock jumps"

steps = st.lists(
    st.one_of(
        st.tuples(st.just(LOOK), st.sampled_from([30, 30, 30, 600, 5_000, 40_000])),
        st.tuples(st.just(LOOK_AND_DIE), st.sampled_from([30, 900])),
        st.tuples(st.just(EDIT), st.integers(0, 1), plans(weekly=True)),
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
    meant: Sequence[Plan],
    start: datetime,
    since: datetime,
    now: datetime,
) -> list[tuple[str, datetime]]:
    """What is due by the oracle's ticks; each clinic has one phase."""
    found = []
    for clinic, plan in zip(clinics, meant, strict=True):
        noted = (clinic.scheduled_since, *clinic.changed_at.values())
        # What was noted by a clock that was ahead, and has been set back since, says nothing.
        void = max((each for each in noted if each <= now + timedelta(minutes=1)), default=start)
        ticks = ticks_of(plan, clinic.clinic.timezone, start)
        place = bisect_right(ticks, now) - 1
        if place < 0 or ticks[place] <= max(since, void):
            continue
        if place == 0 or now - ticks[place] < ticks[place] - ticks[place - 1]:
            found.append((clinic.clinic.slug, ticks[place]))
    return found


@given(first=plans(weekly=True), second=plans(weekly=True), scene=zone_pairs, life=steps)
@settings(max_examples=100, deadline=None)
def test_a_life_of_edits_restarts_and_clock_jumps_fires_what_the_oracle_fires(
    first: Plan,
    second: Plan,
    scene: tuple[datetime, tuple[str, str]],
    life: list[tuple[object, ...]],
) -> None:
    start, zones = scene
    # The oracle needs a week to know the tick before.
    now = start + timedelta(days=8, seconds=17)
    meant = [first, second]
    clinics = [
        schedule(slug, zone=zone, since=now, changed_at=now, inbound=plan.text)
        for slug, zone, plan in zip(("alder", "birch"), zones, meant, strict=True)
    ]
    since: datetime | None = None
    fired: list[tuple[str, datetime]] = []
    for step in life:
        if now > start + timedelta(days=DAYS_WATCHED, hours=-13):
            break
        match step:
            case ("look" | "look and die" as kind, int(seconds)):
                now += timedelta(seconds=seconds)
                decision = decide(clinics, since, now)
                found = [(each.slug, each.tick) for each in decision.due]
                if since is None or now < since:
                    assert found == []
                else:
                    assert found == expected_due(clinics, meant, start, since, now)
                if kind == LOOK_AND_DIE:
                    continue
                if decision.started_over:
                    fired.clear()
                # Nothing is started twice, whatever happens.
                assert not set(fired) & set(found)
                fired += found
                since = decision.until
            case ("edit", int(which), Plan() as plan):
                now += timedelta(seconds=1)
                meant[which] = plan
                clinics[which] = replace(
                    clinics[which],
                    config=ScheduleConfig(
                        sync_schedules={
                            **dict.fromkeys(Phase, "off"),
                            Phase.INBOUND: plan.text,
                        }
                    ),
                    changed_at={Phase.INBOUND: now},
                )
            case ("move to another zone", int(which), int(where)):
                now += timedelta(seconds=1)
                moved = replace(clinics[which].clinic, timezone=zones[where])
                clinics[which] = replace(clinics[which], clinic=moved, scheduled_since=now)
            case ("clock jumps", int(seconds)):
                now = max(now + timedelta(seconds=seconds), start + timedelta(days=8))


def test_every_tick_of_a_watched_day_is_fired_exactly_once() -> None:
    zone, start = SCENES[1]
    clinics = [schedule(zone=zone, inbound=QUARTERS.text)]
    day = start + timedelta(days=8)
    since: datetime | None = day
    fired: list[DueTick] = []
    for now in _looks(day, timedelta(seconds=30)):
        decision = decide(clinics, since, now)
        fired += decision.due
        since = decision.until
    expected = [
        tick for tick in ticks_of(QUARTERS, zone, start) if day < tick <= day + timedelta(days=1)
    ]
    assert [each.tick for each in fired] == expected


def _looks(start: datetime, every: timedelta) -> Iterator[datetime]:
    now = start
    while now < start + timedelta(days=1):
        now += every
        yield now
