"""The sensor of the code location, and a day of thirty clinics."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.dagster_names import clinics_tagged
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.store.clinics import add_clinic, set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.orchestration.deployment import SLUGS, START, DagsterDeployment
from pims_pipeline_tests.orchestration.harness import (
    MINUTE,
    SensorHarness,
    backdate_schedules,
    execute,
    plan,
    shape,
)
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor


def test_the_sensor_of_the_code_location_requests_runs_that_can_be_executed(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        plan(deployment, slug, inbound="* * * * *")
    sensor = deployment.definitions.get_repository_def().get_sensor_def("scheduled_syncs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
    before = (datetime.now(UTC) - 2 * MINUTE).isoformat()
    context = dg.build_sensor_context(
        instance=deployment.instance,
        cursor=before,
        definitions=deployment.definitions,
        resources={"store": deployment.engine},
    )
    data = sensor.evaluate_tick(context)
    assert data.cursor is not None
    assert data.cursor > before
    requests = data.run_requests or []
    assert {slug for _, slugs in shape(requests) for slug in slugs} == set(SLUGS)
    for request in requests:
        outcome = execute(deployment, request, START)
        assert outcome.success


ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Auckland",
)
FIRST_DAY = date(2026, 1, 1)
CRONS: Sequence[tuple[str, str, str]] = (
    ("*/15 * * * *", "0 */2 * * *", "0 2 * * *"),
    ("*/10 7-19 * * *", "30 1,2,3 * * *", "15 2 * * *"),
    ("7-59/20 * * * *", "off", "30 2 * * SUN"),
    ("0 * * * *", "45 * * * *", "0 0 * * *"),
    ("*/30 1-3 * * *", "0 12 L * *", "59 23 * * 1-5"),
)
"""``matches`` reads these, from a wall clock alone."""


def matches(cron: str, local: datetime) -> bool:
    """Whether the expression includes a minute; reads only the syntax in ``CRONS``."""
    minute, hour, day, _, weekday = cron.split()
    tomorrow = local + timedelta(days=1)
    return (
        _in(minute, local.minute, 59)
        and _in(hour, local.hour, 23)
        and (day == "*" or tomorrow.month != local.month)
        and {"*": True, "SUN": local.isoweekday() == 7, "1-5": local.isoweekday() <= 5}[weekday]
    )


def _in(text: str, number: int, last: int) -> bool:
    return number in _numbers(text, last)


@cache
def _numbers(text: str, last: int) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, end = span.replace("*", f"0-{last}").partition("-")
        numbers |= set(range(int(first), int(end or first) + 1, int(step or 1)))
    return frozenset(numbers)


@cache
def minutes_of_the_day(zone: str, start: datetime) -> list[tuple[datetime, list[datetime]]]:
    """Each minute, with those that the wall clock reaches in it for the first time.

    They are several when the clock jumps, and none when it repeats an hour.
    """
    time = start - timedelta(days=2)
    furthest = time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    found = []
    while time < start + timedelta(hours=26):
        time += MINUTE
        clock = time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        reached = []
        while furthest < clock:
            furthest += MINUTE
            reached.append(furthest)
        found.append((time, reached))
    return found


@cache
def ticks_of_the_day(zone: str, cron: str, start: datetime) -> list[datetime]:
    """The ticks found by reading the wall clock every minute.

    A minute that the clock skips ticks when the clock jumps; a repeated one ticks once.
    """
    if cron == "off":
        return []
    return [
        time
        for time, reached in minutes_of_the_day(zone, start)
        if any(matches(cron, minute) for minute in reached)
    ]


def expected_ticks(since: datetime, now: datetime, start: datetime) -> set[tuple[str, str]]:
    """Phase and slug of each due tick."""
    found = set()
    for zone_number, zone in enumerate(ZONES):
        for number, crons in enumerate(CRONS):
            for phase, cron in zip(Phase, crons, strict=True):
                ticks = ticks_of_the_day(zone, cron, start)
                at = bisect_right(ticks, now) - 1
                if at < 0 or ticks[at] <= since:
                    continue
                if at == 0 or now - ticks[at] < ticks[at] - ticks[at - 1]:
                    found.add((phase.value, f"clinic-{zone_number}-{number}"))
    return found


@pytest.fixture
def thirty(
    engine: Engine, vault: Vault, sources: Sources, instance: DagsterInstance
) -> DagsterDeployment:
    """Thirty clinics, five in each zone, each with another schedule."""
    clinics: dict[str, Clinic] = {}
    vendors: dict[str, FakeVendor] = {}
    with transaction(engine) as connection:
        for zone_number, zone in enumerate(ZONES):
            for number, crons in enumerate(CRONS):
                slug = f"clinic-{zone_number}-{number}"
                clinic = add_clinic(
                    connection,
                    slug=slug,
                    name=slug,
                    timezone=zone,
                    provider_type="idexx_neo",
                    provider_base_url="https://pims.example",
                )
                set_schedule_config(
                    connection,
                    clinic,
                    ScheduleConfig(sync_schedules=dict(zip(Phase, crons, strict=True))),
                )
                vendors[slug] = FakeVendor(clinic.zone)
                put_credentials(connection, vault, clinic, vendors[slug].credentials.to_mapping())
                clinics[slug] = clinic
    definitions = code_location(
        Sources(
            open_store=sources.open_store,
            open_vault=sources.open_vault,
            open_provider=lambda clinic: FakeProvider(vendors[clinic.slug]),
        ),
        partition_start=FIRST_DAY,
    )
    deployment = DagsterDeployment(engine, instance, definitions, clinics, vendors)
    # The three clinics of the fixture `sources` take no part.
    deployment.run("UPDATE clinics SET is_active = false WHERE slug IN ('alder', 'birch', 'cedar')")
    backdate_schedules(deployment)
    return deployment


@pytest.mark.parametrize(
    ("start", "jump"),
    [
        (datetime(2026, 3, 28, 13, tzinfo=UTC), "hours that Europe's clocks skip"),
        (datetime(2026, 10, 24, 18, tzinfo=UTC), "hours that Europe's clocks repeat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_day_of_thirty_clinics_starts_every_due_tick_exactly_once(
    thirty: DagsterDeployment, start: datetime, jump: str
) -> None:
    """Evaluated every few minutes, with restarts that lose an evaluation, and an outage."""
    dice = Random(jump)  # noqa: S311 - the same dice each time
    harness = SensorHarness(
        thirty, cursor=start.isoformat(), partition_start=FIRST_DAY, clinics_per_run=4
    )
    since = now = start
    outage: datetime | None = start + timedelta(hours=dice.uniform(2, 8))
    sample: dict[str, dg.RunRequest] = {}
    while now < start + timedelta(days=1):
        now += timedelta(seconds=dice.uniform(30, 800))
        if outage is not None and now > outage:
            now, outage = now + timedelta(minutes=100), None
        lost = dice.random() < 0.1
        requests = harness.evaluate(now, keep=not lost)
        requested = [
            (each.tags["pims/phase"], slug)
            for each in requests
            for slug in clinics_tagged(each.tags)
        ]
        assert len(set(requested)) == len(requested)
        assert set(requested) == expected_ticks(since, now, start)
        assert all(len(clinics_tagged(each.tags)) <= 4 for each in requests)
        sample.update({each.tags["pims/phase"]: each for each in requests})
        if not lost:
            since = now
    for request in sample.values():
        assert execute(thirty, request, FIRST_DAY).success
