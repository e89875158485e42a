"""What the deciding sensor asks for: few and wide runs, none twice, none beside another."""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.dagster_names import RANGE_END_TAG, RANGE_START_TAG, clinics_tagged, range_tags
from pims_pipeline.domain.clinics import Clinic, DateRange, business_date
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.launching import JobOutcome, job_origin, run_in_process
from pims_pipeline.orchestration.location import code_location
from pims_pipeline.orchestration.partitions import (
    register_clinics,
    registered_clinics,
)
from pims_pipeline.orchestration.resources import Sources
from pims_pipeline.orchestration.scheduling import QUIET
from pims_pipeline.orchestration.sensors import Scheduler
from pims_pipeline.store.audits import audits_of_run, run_liveness, start_audit
from pims_pipeline.store.clinics import add_clinic, set_schedule_config
from pims_pipeline.store.credentials import put_credentials
from pims_pipeline.store.database import transaction
from pims_pipeline.store.schedules import skipped_ticks
from pims_pipeline.store.vault import Vault
from pims_pipeline_tests.orchestration.conftest import SLUGS, START, TODAY, House, days
from pims_pipeline_tests.providers.fake import FakeProvider, FakeVendor

NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OFF = dict.fromkeys(Phase, "off")


@dataclass
class Clockwork:
    """The sensor's body under a clock of the test's own, and a daemon that obeys it.

    Attributes:
        cursor: As the daemon keeps it.
        cap: How many clinics a run may have.
        stuck_after: How long a run may take.
    """

    house: House
    cursor: str | None = None
    cap: int = 50
    stuck_after: timedelta = timedelta(hours=2)
    partition_start: date = START

    def look(self, now: datetime, *, keep: bool = True) -> list[dg.RunRequest]:
        """One evaluation; its cursor is lost when it is not to be kept."""
        scheduler = Scheduler(
            engine=self.house.engine,
            instance=self.house.instance,
            partition_start=self.partition_start,
            clinics_per_run=self.cap,
            stuck_after=self.stuck_after,
        )
        result = scheduler.look(self.cursor, now)
        if keep:
            self.cursor = result.cursor
        return list(result.run_requests or [])

    def submit(
        self,
        request: dg.RunRequest,
        status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
    ) -> dg.DagsterRun:
        """Make the run that was asked for."""
        assert request.job_name is not None
        assert request.run_key is not None
        return make_run(
            self.house,
            request.job_name,
            {**request.tags, "dagster/run_key": request.run_key},
            status,
        )


def make_run(
    house: House,
    job: str,
    tags: dict[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
) -> dg.DagsterRun:
    return house.instance.create_run_for_job(
        job_def=house.definitions.get_repository_def().get_job(job),
        tags=tags,
        status=status,
        remote_job_origin=job_origin(job),
    )


def begin_audit(clockwork: Clockwork, slug: str, run_id: str, *, owner: int, at: datetime) -> None:
    """An audit of that process, which a run has begun with."""
    with transaction(clockwork.house.engine) as connection:
        start_audit(
            connection,
            clinic=clockwork.house.clinics[slug],
            sync_type=Phase.INBOUND,
            window=days(0, 0),
            run_id=run_id,
            owner=owner,
            now=at,
        )


def plan(house: House, slug: str, **crons: str) -> None:
    """Give a clinic this schedule, as of long ago; phases that are not named are off."""
    stored = {**OFF, **{Phase(phase): cron for phase, cron in crons.items()}}
    with transaction(house.engine) as connection:
        set_schedule_config(connection, house.clinics[slug], ScheduleConfig(sync_schedules=stored))
    long_ago(house)


def long_ago(house: House) -> None:
    house.run("UPDATE clinics SET scheduled_since = '2000-01-01Z'")
    house.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")


@pytest.fixture
def clockwork(house: House) -> Clockwork:
    """Three clinics in New York's zone, whose diaries are due every full hour."""
    house.run("UPDATE clinics SET timezone = 'America/New_York'")
    house.clinics.update(
        {
            slug: replace(clinic, timezone="America/New_York")
            for slug, clinic in house.clinics.items()
        }
    )
    for slug in SLUGS:
        plan(house, slug, inbound="0 * * * *")
    register_clinics(house.instance, SLUGS)
    return Clockwork(house, cursor=(NOON - MINUTE).isoformat())


def shape(requests: Iterable[dg.RunRequest]) -> list[tuple[str | None, list[str]]]:
    """Each run's job and clinics."""
    return [(each.job_name, sorted(clinics_tagged(each.tags))) for each in requests]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, also after a test that set logging up to say less."""
    caplog.set_level(logging.WARNING)
    return caplog


def told(logged: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """What was logged, without what every line has."""
    return [
        {name: value for name, value in each.msg.items() if name not in {"logger", "level"}}
        for each in logged.records
        if isinstance(each.msg, dict)
    ]


def skips(house: House) -> dict[tuple[str, Phase], tuple[int, datetime]]:
    slugs = {clinic.id: slug for slug, clinic in house.clinics.items()}
    with transaction(house.engine) as connection:
        found = skipped_ticks(connection)
    return {
        (slugs[clinic], phase): (each.number, each.last)
        for clinic, phases in found.items()
        for phase, each in phases.items()
    }


def test_clinics_that_are_due_together_share_one_run(clockwork: Clockwork) -> None:
    (request,) = clockwork.look(NOON)
    today = business_date(NOON, ZoneInfo("America/New_York"))
    window = DateRange(today, today + timedelta(days=7))
    assert request.job_name == "inbound_sync"
    assert request.tags == {
        RANGE_START_TAG: f"alder|{window.start}",
        RANGE_END_TAG: f"cedar|{window.end}",
        "pims/origin": "schedule",
        "pims/phase": "inbound",
        "pims/tick": NOON.isoformat(),
        "pims/decided": NOON.isoformat(),
        "pims/clinic.alder": "yes",
        "pims/clinic.birch": "yes",
        "pims/clinic.cedar": "yes",
        "dagster/priority": "-1",
    }
    assert request.run_key is not None
    assert request.run_key.startswith(f"inbound {NOON.isoformat()} {window} ")
    assert clockwork.look(NOON + MINUTE) == []


def test_a_run_of_one_clinic_says_so(clockwork: Clockwork) -> None:
    plan(clockwork.house, "alder")
    plan(clockwork.house, "cedar")
    (request,) = clockwork.look(NOON)
    assert request.tags["pims/clinic"] == "birch"


def test_runs_have_no_more_clinics_than_they_may(clockwork: Clockwork) -> None:
    clockwork.cap = 2
    assert shape(clockwork.look(NOON)) == [
        ("inbound_sync", ["alder", "birch"]),
        ("inbound_sync", ["cedar"]),
    ]


def test_a_clinic_that_is_not_due_is_in_no_run(clockwork: Clockwork) -> None:
    plan(clockwork.house, "birch", cases="0 * * * *")
    assert shape(clockwork.look(NOON)) == [
        ("inbound_sync", ["alder"]),
        ("inbound_sync", ["cedar"]),
        ("case_sync", ["birch"]),
    ]


def test_clinics_whose_days_differ_have_runs_of_their_own(clockwork: Clockwork) -> None:
    house = clockwork.house
    house.run("UPDATE clinics SET timezone = 'Pacific/Kiritimati' WHERE slug = 'birch'")
    house.run(
        "UPDATE clinic_schedule_configs SET days_ahead = 2 FROM clinics "
        "WHERE clinic_id = id AND slug = 'cedar'"
    )
    long_ago(house)
    found = {request.tags[RANGE_START_TAG]: request for request in clockwork.look(NOON)}
    today = business_date(NOON, ZoneInfo("America/New_York"))
    assert {start: each.tags[RANGE_END_TAG] for start, each in found.items()} == {
        f"alder|{today}": f"alder|{today + timedelta(days=7)}",
        f"birch|{today + timedelta(days=1)}": f"birch|{today + timedelta(days=8)}",
        f"cedar|{today}": f"cedar|{today + timedelta(days=2)}",
    }


def test_ticks_missed_together_are_one_run_however_different_they_were(
    clockwork: Clockwork,
) -> None:
    for slug, minute in zip(SLUGS, (10, 20, 30), strict=True):
        plan(clockwork.house, slug, inbound=f"{minute} * * * *")
    (request,) = clockwork.look(NOON + 40 * MINUTE)
    assert clinics_tagged(request.tags) == set(SLUGS)
    assert request.tags["pims/tick"] == (NOON + 30 * MINUTE).isoformat()


def test_a_new_clinic_gets_its_partitions_rather_than_lose_its_tick(
    clockwork: Clockwork, engine: Engine
) -> None:
    with transaction(engine) as connection:
        for slug in ("yew", "elm"):
            clinic = add_clinic(
                connection,
                slug=slug,
                name=slug,
                timezone="America/Chicago",
                provider_type="idexx_neo",
                provider_base_url="https://pims.example",
            )
            clockwork.house.clinics[slug] = clinic
    for slug in ("yew", "elm"):
        plan(clockwork.house, slug, inbound="0 * * * *")
    assert shape(clockwork.look(NOON)) == [
        ("inbound_sync", ["alder", "birch", "cedar", "elm", "yew"])
    ]
    # Neighbours by zone, then by name.
    assert registered_clinics(clockwork.house.instance) == [*SLUGS, "elm", "yew"]


def test_a_changed_schedule_counts_from_the_next_tick(clockwork: Clockwork) -> None:
    house = clockwork.house
    assert len(clockwork.look(NOON)) == 1
    with transaction(house.engine) as connection:
        set_schedule_config(
            connection,
            house.clinics["birch"],
            ScheduleConfig(sync_schedules={**OFF, Phase.INBOUND: "*/5 * * * *"}),
        )
    # The edit is noted by the database's clock, which shows another time than the test's.
    (row,) = house.rows(
        "SELECT schedules_changed_at ->> 'inbound' AS noted FROM clinic_schedule_configs "
        "JOIN clinics ON clinic_id = id WHERE slug = 'birch'"
    )
    edited = datetime.fromisoformat(str(row.noted))
    clockwork.cursor = (edited - MINUTE).isoformat()
    plan_of_others = edited + timedelta(minutes=5)
    found = clockwork.look(plan_of_others)
    assert "birch" in {slug for _, slugs in shape(found) for slug in slugs}
    clockwork.cursor = (edited - timedelta(hours=1)).isoformat()
    assert "birch" not in {slug for _, slugs in shape(clockwork.look(edited)) for slug in slugs}


@pytest.mark.parametrize(
    ("job", "tags", "blocked"),
    [
        ("inbound_sync", range_tags(("alder", "birch"), days(0, 1)), {"alder", "birch"}),
        ("full_sync", range_tags(("birch", "cedar"), days(-5, 5)), {"birch", "cedar"}),
        ("full_sync", {"dagster/partition": f"birch|{TODAY}"}, {"birch"}),
        (
            "full_sync",
            {"dagster/backfill": "b", **range_tags(("alder", "alder"), days(0, 0))},
            {"alder"},
        ),
        ("case_sync", range_tags(("alder", "cedar"), days(0, 1)), set()),
        ("reconciliation_sync", range_tags(("alder", "cedar"), days(0, 1)), set()),
    ],
    ids=[
        "same phase",
        "full sync",
        "one partition",
        "backfill",
        "cases",
        "reconciliation",
    ],
)
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING])
def test_a_tick_that_finds_a_run_of_its_phase_is_skipped_and_counted(  # noqa: PLR0917 - parameters of a test
    clockwork: Clockwork,
    job: str,
    tags: dict[str, str],
    blocked: set[str],
    status: dg.DagsterRunStatus,
    logged: pytest.LogCaptureFixture,
) -> None:
    run = make_run(clockwork.house, job, tags, status)
    free = sorted(set(SLUGS) - blocked)
    found = clockwork.look(NOON)
    assert sorted(slug for _, slugs in shape(found) for slug in slugs) == free
    assert skips(clockwork.house) == {(slug, Phase.INBOUND): (1, NOON) for slug in blocked}
    assert told(logged) == [
        {
            "event": "tick_skipped",
            "clinic": slug,
            "phase": "inbound",
            "tick": NOON.isoformat(),
            "reason": "a run of the phase is still going",
        }
        for slug in sorted(blocked)
    ]

    clockwork.house.instance.report_run_canceled(run)
    hour_later = NOON + timedelta(hours=1)
    assert shape(clockwork.look(hour_later)) == [("inbound_sync", list(SLUGS))]
    assert skips(clockwork.house) == {(slug, Phase.INBOUND): (1, NOON) for slug in blocked}


@pytest.mark.parametrize(
    ("asset", "free"), [("appointments", []), ("consultations", [("inbound_sync", list(SLUGS))])]
)
def test_a_materialization_from_the_asset_pages_blocks_its_own_phase_alone(
    clockwork: Clockwork, asset: str, free: list[tuple[str, list[str]]]
) -> None:
    repository = clockwork.house.definitions.get_repository_def()
    selection = frozenset({dg.AssetKey(asset)})
    clockwork.house.instance.create_run_for_job(
        job_def=repository.get_job("__ASSET_JOB").get_subset(asset_selection=selection),
        asset_selection=selection,
        tags=range_tags(("alder", "cedar"), days(0, 0)),
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=job_origin("__ASSET_JOB"),
    )
    assert shape(clockwork.look(NOON)) == free


def test_a_run_that_waits_in_the_queue_blocks_the_next_tick(clockwork: Clockwork) -> None:
    (request,) = clockwork.look(NOON)
    clockwork.submit(request)
    assert clockwork.look(NOON + timedelta(hours=1)) == []
    assert skips(clockwork.house) == {
        (slug, Phase.INBOUND): (1, NOON + timedelta(hours=1)) for slug in SLUGS
    }


def alerts_of_skips(house: House, now: datetime) -> dict[str, object]:
    """The clinics with an open alert on skipped ticks, and how many it opened at."""
    evaluate(house.engine, now)
    rows = house.rows(
        "SELECT slug, details FROM alerts JOIN clinics ON clinics.id = clinic_id "
        "WHERE kind = 'ticks_skipped' AND ended_at IS NULL"
    )
    return {row.slug: row.details for row in rows}


@pytest.mark.parametrize(
    ("job", "tags", "status"),
    [
        ("full_sync", range_tags(("birch", "birch"), days(0, 0)), dg.DagsterRunStatus.STARTED),
        ("inbound_sync", range_tags(("birch", "birch"), days(0, 0)), dg.DagsterRunStatus.QUEUED),
        (
            "inbound_sync",
            {"dagster/backfill": "b", **range_tags(("birch", "birch"), days(-3, 0))},
            dg.DagsterRunStatus.STARTED,
        ),
    ],
    ids=["a run that goes on", "a queue that is stuck", "a backfill"],
)
def test_three_ticks_skipped_in_a_row_are_alerted_to_until_one_runs_again(
    clockwork: Clockwork, job: str, tags: dict[str, str], status: dg.DagsterRunStatus
) -> None:
    house, hour = clockwork.house, timedelta(hours=1)
    run = make_run(house, job, tags, status)
    with run_liveness(house.engine) as liveness:
        if status is dg.DagsterRunStatus.STARTED:
            clockwork.stuck_after = 5 * hour
            begin_audit(clockwork, "birch", run.run_id, owner=liveness.owner, at=NOON)
        for tick in range(2):
            clockwork.look(NOON + tick * hour)
        assert alerts_of_skips(house, NOON + 2 * hour) == {}

        clockwork.look(NOON + 2 * hour)
        expected = {"birch": {"phase": "inbound", "ticks": 3}}
        assert alerts_of_skips(house, NOON + 2 * hour) == expected
        clockwork.look(NOON + 3 * hour)
        assert alerts_of_skips(house, NOON + 3 * hour) == expected

    house.instance.report_run_canceled(run)
    assert "birch" in {
        slug for _, slugs in shape(clockwork.look(NOON + 4 * hour)) for slug in slugs
    }
    assert alerts_of_skips(house, NOON + 4 * hour) == {}


def test_skipped_ticks_with_one_that_ran_in_between_are_no_alert(clockwork: Clockwork) -> None:
    house, hour = clockwork.house, timedelta(hours=1)
    for tick in (0, 1, 3, 4):
        run = make_run(house, "inbound_sync", range_tags(("birch", "birch"), days(0, 0)))
        clockwork.look(NOON + tick * hour)
        house.instance.report_run_canceled(run)
        if tick == 1:
            clockwork.look(NOON + 2 * hour)
    assert skips(house) == {("birch", Phase.INBOUND): (4, NOON + 4 * hour)}
    assert alerts_of_skips(house, NOON + 4 * hour) == {}


def test_an_evaluation_whose_cursor_was_lost_decides_the_same_again(clockwork: Clockwork) -> None:
    make_run(clockwork.house, "inbound_sync", range_tags(("birch", "birch"), days(0, 0)))
    lost = clockwork.look(NOON, keep=False)
    again = clockwork.look(NOON + timedelta(seconds=30))
    assert [each.run_key for each in again] == [each.run_key for each in lost]
    assert shape(again) == [("inbound_sync", ["alder"]), ("inbound_sync", ["cedar"])]
    assert skips(clockwork.house) == {("birch", Phase.INBOUND): (1, NOON)}


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.SUCCESS])
def test_what_was_launched_before_an_evaluation_broke_off_is_not_launched_again(
    clockwork: Clockwork, status: dg.DagsterRunStatus
) -> None:
    clockwork.cap = 1
    first, *_ = clockwork.look(NOON, keep=False)
    clockwork.submit(first, status)
    clockwork.cap = 50
    assert shape(clockwork.look(NOON + MINUTE)) == [("inbound_sync", ["birch", "cedar"])]
    assert skips(clockwork.house) == {}


def test_a_finished_run_of_the_tick_before_bars_nothing(clockwork: Clockwork) -> None:
    (request,) = clockwork.look(NOON)
    clockwork.submit(request, dg.DagsterRunStatus.SUCCESS)
    assert shape(clockwork.look(NOON + timedelta(hours=1))) == [("inbound_sync", list(SLUGS))]


def test_a_run_decided_by_a_wrong_clock_bars_nothing(clockwork: Clockwork) -> None:
    (request,) = clockwork.look(NOON)
    ahead = {**request.tags, "pims/decided": (NOON + timedelta(days=9)).isoformat()}
    make_run(clockwork.house, "inbound_sync", ahead, dg.DagsterRunStatus.SUCCESS)
    assert len(clockwork.look(NOON + timedelta(hours=1))) == 1


@pytest.mark.parametrize("cursor", [None, "", "soon", "2026-03-09T10:00:00"])
def test_without_a_cursor_that_can_be_read_nothing_of_the_past_is_started(
    clockwork: Clockwork, cursor: str | None, logged: pytest.LogCaptureFixture
) -> None:
    clockwork.cursor = cursor
    assert clockwork.look(NOON) == []
    assert clockwork.cursor == NOON.isoformat()
    assert told(logged) == (
        [{"event": "schedules_start_over", "cursor": cursor, "now": NOON.isoformat()}]
        if cursor
        else []
    )


def test_a_clock_put_back_far_is_told(
    clockwork: Clockwork, logged: pytest.LogCaptureFixture
) -> None:
    clockwork.cursor = (NOON + timedelta(days=2)).isoformat()
    assert clockwork.look(NOON) == []
    assert [entry["event"] for entry in told(logged)] == ["schedules_start_over"]
    assert len(clockwork.look(NOON + timedelta(hours=1))) == 1


def test_inactive_clinics_and_malformed_schedules_keep_nobody_from_being_synced(
    clockwork: Clockwork,
) -> None:
    plan(clockwork.house, "alder", inbound="often", cases="0 * * * *")
    clockwork.house.run("UPDATE clinics SET is_active = false WHERE slug = 'birch'")
    assert shape(clockwork.look(NOON)) == [
        ("inbound_sync", ["cedar"]),
        ("case_sync", ["alder"]),
    ]


# --- Runs whose process died ------------------------------------------------------------------


def begun(clockwork: Clockwork, owner: int, at: datetime) -> str:
    """A run that Dagster believes to be going, with an audit of that process."""
    tags = range_tags(("alder", "alder"), days(0, 0))
    run = make_run(clockwork.house, "inbound_sync", tags)
    clockwork.house.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "inbound_sync"), run.run_id
    )
    begin_audit(clockwork, "alder", run.run_id, owner=owner, at=at)
    return run.run_id


def status_of(clockwork: Clockwork, run_id: str) -> dg.DagsterRunStatus:
    run = clockwork.house.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_died_is_ended_and_blocks_nothing_any_more(
    clockwork: Clockwork, logged: pytest.LogCaptureFixture
) -> None:
    run_id = begun(clockwork, owner=4711, at=NOON - QUIET)
    assert shape(clockwork.look(NOON)) == [("inbound_sync", list(SLUGS))]
    assert status_of(clockwork, run_id) is dg.DagsterRunStatus.FAILURE
    assert told(logged) == [{"event": "abandoned_run_ended", "run_id": run_id}]
    # A process that wakes up after all writes nothing in the name of a failed run.
    with transaction(clockwork.house.engine) as connection:
        assert [each.status for each in audits_of_run(connection, run_id)] == ["interrupted"]


def test_a_run_that_moved_lately_or_renews_its_lease_is_left_alone(clockwork: Clockwork) -> None:
    lately = begun(clockwork, owner=4711, at=NOON - QUIET + MINUTE)
    with run_liveness(clockwork.house.engine) as liveness:
        slow = begun(clockwork, owner=liveness.owner, at=NOON - timedelta(hours=2))
        assert shape(clockwork.look(NOON)) == [("inbound_sync", ["birch", "cedar"])]
    for run_id in (lately, slow):
        assert status_of(clockwork, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("reachable", [True, False])
def test_a_run_that_holds_its_lock_but_is_stuck_is_terminated_and_blocks_nothing_any_more(
    clockwork: Clockwork,
    logged: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reachable: bool,
) -> None:
    terminated: list[str] = []

    def terminate(run_id: str) -> bool:
        terminated.append(run_id)
        if not reachable:
            raise dg.DagsterInvariantViolationError("its code server is gone")
        return True

    monkeypatch.setattr(clockwork.house.instance.run_launcher, "terminate", terminate)
    with run_liveness(clockwork.house.engine) as liveness:
        at = NOON - timedelta(hours=2) - QUIET
        run_id = begun(clockwork, owner=liveness.owner, at=at)
        assert shape(clockwork.look(NOON)) == [("inbound_sync", list(SLUGS))]
    assert status_of(clockwork, run_id) is dg.DagsterRunStatus.FAILURE
    assert terminated == [run_id]
    said = {"reached": True} if reachable else {"error": "DagsterInvariantViolationError"}
    event = "stuck_run_terminated" if reachable else "stuck_run_not_terminated"
    assert told(logged) == [
        {"event": event, "run_id": run_id, **said},
        {"event": "abandoned_run_ended", "run_id": run_id},
    ]


def test_a_run_that_syncs_nothing_is_never_ended(clockwork: Clockwork) -> None:
    run = make_run(clockwork.house, "nightly_maintenance", {})
    clockwork.house.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "nightly_maintenance"), run.run_id
    )
    clockwork.look(NOON + timedelta(days=3))
    assert status_of(clockwork, run.run_id) is dg.DagsterRunStatus.STARTED


# --- Through Dagster ---------------------------------------------------------------------------


def test_the_sensor_of_the_code_location_asks_for_runs_that_can_be_done(house: House) -> None:
    for slug in SLUGS:
        plan(house, slug, inbound="* * * * *")
    sensor = house.definitions.get_repository_def().get_sensor_def("scheduled_syncs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
    before = (datetime.now(UTC) - 2 * MINUTE).isoformat()
    context = dg.build_sensor_context(
        instance=house.instance,
        cursor=before,
        definitions=house.definitions,
        resources={"store": house.engine},
    )
    data = sensor.evaluate_tick(context)
    assert data.cursor is not None
    assert data.cursor > before
    requests = data.run_requests or []
    assert {slug for _, slugs in shape(requests) for slug in slugs} == set(SLUGS)
    for request in requests:
        outcome = do(house, request, START)
        assert outcome.success


def do(house: House, request: dg.RunRequest, partition_start: date) -> JobOutcome:
    """Do the run that was asked for, over the fake vendors."""
    slugs = sorted(clinics_tagged(request.tags))
    first, last = (
        date.fromisoformat(request.tags[tag].rpartition("|")[2])
        for tag in (RANGE_START_TAG, RANGE_END_TAG)
    )
    assert request.job_name is not None
    outcome = run_in_process(
        house.definitions,
        request.job_name,
        slugs=slugs,
        window=DateRange(first, last),
        partition_start=partition_start,
        instance=house.instance,
        engine=house.engine,
        tags=request.tags,
    )
    ids = {clinic.id: slug for slug, clinic in house.clinics.items()}
    assert sorted({ids[audit.clinic_id] for audit in outcome.audits}) == slugs
    assert {str(audit.sync_type) for audit in outcome.audits} == {request.tags["pims/phase"]}
    return outcome


# --- A day -------------------------------------------------------------------------------------

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
"""Matched by eye below, by the means of a wall clock alone."""


def named(cron: str, local: datetime) -> bool:
    """Whether the expression names a minute; knows what ``CRONS`` uses, and no more."""
    minute, hour, day, _, weekday = cron.split()
    tomorrow = local + timedelta(days=1)
    return (
        _in(minute, local.minute, 59)
        and _in(hour, local.hour, 23)
        and (day == "*" or tomorrow.month != local.month)
        and {"*": True, "SUN": local.isoweekday() == 7, "1-5": local.isoweekday() <= 5}[weekday]
    )


def _in(text: str, number: int, last: int) -> bool:
    meant: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, end = span.replace("*", f"0-{last}").partition("-")
        meant |= set(range(int(first), int(end or first) + 1, int(step or 1)))
    return number in meant


@cache
def ticks_of_the_day(zone: str, cron: str, start: datetime) -> list[datetime]:
    """By watching the wall clock every minute: what it comes to, and jumps over, for once."""
    place = ZoneInfo(zone)
    moment = start - timedelta(days=2)
    furthest = moment.astimezone(place).replace(tzinfo=None)
    found = []
    while cron != "off" and moment < start + timedelta(hours=26):
        moment += MINUTE
        clock = moment.astimezone(place).replace(tzinfo=None)
        come = False
        while furthest < clock:
            furthest += MINUTE
            come = named(cron, furthest) or come
        if come:
            found.append(moment)
    return found


def expected_places(since: datetime, now: datetime, start: datetime) -> set[tuple[str, str]]:
    """Phase and slug of everything that is due."""
    found = set()
    for place, zone in enumerate(ZONES):
        for number, crons in enumerate(CRONS):
            for phase, cron in zip(Phase, crons, strict=True):
                ticks = ticks_of_the_day(zone, cron, start)
                at = bisect_right(ticks, now) - 1
                if at < 0 or ticks[at] <= since:
                    continue
                if at == 0 or now - ticks[at] < ticks[at] - ticks[at - 1]:
                    found.add((phase.value, f"clinic-{place}-{number}"))
    return found


@pytest.fixture
def thirty(engine: Engine, vault: Vault, sources: Sources, instance: DagsterInstance) -> House:
    """Thirty clinics, five in each zone, each with another schedule."""
    clinics: dict[str, Clinic] = {}
    vendors: dict[str, FakeVendor] = {}
    with transaction(engine) as connection:
        for place, zone in enumerate(ZONES):
            for number, crons in enumerate(CRONS):
                slug = f"clinic-{place}-{number}"
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
    house = House(engine, instance, definitions, clinics, vendors)
    # The three clinics that the sources brought along are none of this.
    house.run("UPDATE clinics SET is_active = false WHERE slug IN ('alder', 'birch', 'cedar')")
    long_ago(house)
    return house


@pytest.mark.parametrize(
    ("start", "jump"),
    [
        (datetime(2026, 3, 28, 13, tzinfo=UTC), "hours that Europe's clocks skip"),
        (datetime(2026, 10, 24, 18, tzinfo=UTC), "hours that Europe's clocks repeat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_day_of_thirty_clinics_starts_every_due_tick_exactly_once(
    thirty: House, start: datetime, jump: str
) -> None:
    """Looked at every few minutes, with restarts that lose an evaluation, and an outage."""
    dice = Random(jump)  # noqa: S311 - the same dice each time
    clockwork = Clockwork(thirty, cursor=start.isoformat(), partition_start=FIRST_DAY, cap=4)
    since = now = start
    outage: datetime | None = start + timedelta(hours=dice.uniform(2, 8))
    sample: dict[str, dg.RunRequest] = {}
    while now < start + timedelta(days=1):
        now += timedelta(seconds=dice.uniform(30, 800))
        if outage is not None and now > outage:
            now, outage = now + timedelta(minutes=100), None
        lost = dice.random() < 0.1
        requests = clockwork.look(now, keep=not lost)
        asked = [
            (each.tags["pims/phase"], slug)
            for each in requests
            for slug in clinics_tagged(each.tags)
        ]
        assert len(set(asked)) == len(asked)
        assert set(asked) == expected_places(since, now, start)
        assert all(len(clinics_tagged(each.tags)) <= 4 for each in requests)
        sample.update({each.tags["pims/phase"]: each for each in requests})
        if not lost:
            since = now
    for request in sample.values():
        assert do(thirty, request, FIRST_DAY).success
