"""The run requests of ``scheduled_syncs``: few and wide runs, none twice."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from sqlalchemy import Engine

from pims_pipeline.dagster_names import RANGE_END_TAG, RANGE_START_TAG, clinics_tagged, range_tags
from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.partitions import registered_clinics
from pims_pipeline.store.clinics import add_clinic, set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.orchestration.deployment import SLUGS, days
from pims_pipeline_tests.orchestration.harness import (
    MINUTE,
    NOON,
    OFF,
    SensorHarness,
    backdate_schedules,
    log_entries,
    make_run,
    plan,
    shape,
    skips,
)


def test_clinics_that_are_due_together_share_one_run(harness: SensorHarness) -> None:
    (request,) = harness.evaluate(NOON)
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
    assert harness.evaluate(NOON + MINUTE) == []


def test_a_run_of_one_clinic_is_tagged_with_it(harness: SensorHarness) -> None:
    plan(harness.deployment, "alder")
    plan(harness.deployment, "cedar")
    (request,) = harness.evaluate(NOON)
    assert request.tags["pims/clinic"] == "birch"


def test_runs_have_no_more_clinics_than_they_may(harness: SensorHarness) -> None:
    harness.clinics_per_run = 2
    assert shape(harness.evaluate(NOON)) == [
        ("inbound_sync", ["alder", "birch"]),
        ("inbound_sync", ["cedar"]),
    ]


def test_a_clinic_that_is_not_due_is_in_no_run(harness: SensorHarness) -> None:
    plan(harness.deployment, "birch", cases="0 * * * *")
    assert shape(harness.evaluate(NOON)) == [
        ("inbound_sync", ["alder"]),
        ("inbound_sync", ["cedar"]),
        ("case_sync", ["birch"]),
    ]


def test_clinics_whose_days_differ_have_runs_of_their_own(harness: SensorHarness) -> None:
    deployment = harness.deployment
    deployment.run("UPDATE clinics SET timezone = 'Pacific/Kiritimati' WHERE slug = 'birch'")
    deployment.run(
        "UPDATE clinic_schedule_configs SET days_ahead = 2 FROM clinics "
        "WHERE clinic_id = id AND slug = 'cedar'"
    )
    backdate_schedules(deployment)
    found = {request.tags[RANGE_START_TAG]: request for request in harness.evaluate(NOON)}
    today = business_date(NOON, ZoneInfo("America/New_York"))
    assert {start: each.tags[RANGE_END_TAG] for start, each in found.items()} == {
        f"alder|{today}": f"alder|{today + timedelta(days=7)}",
        f"birch|{today + timedelta(days=1)}": f"birch|{today + timedelta(days=8)}",
        f"cedar|{today}": f"cedar|{today + timedelta(days=2)}",
    }


def test_ticks_missed_together_are_one_run_even_at_different_times(
    harness: SensorHarness,
) -> None:
    for slug, minute in zip(SLUGS, (10, 20, 30), strict=True):
        plan(harness.deployment, slug, inbound=f"{minute} * * * *")
    (request,) = harness.evaluate(NOON + 40 * MINUTE)
    assert clinics_tagged(request.tags) == set(SLUGS)
    assert request.tags["pims/tick"] == (NOON + 30 * MINUTE).isoformat()


def test_a_new_clinic_without_partitions_does_not_lose_its_tick(
    harness: SensorHarness, engine: Engine
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
            harness.deployment.clinics[slug] = clinic
    for slug in ("yew", "elm"):
        plan(harness.deployment, slug, inbound="0 * * * *")
    assert shape(harness.evaluate(NOON)) == [
        ("inbound_sync", ["alder", "birch", "cedar", "elm", "yew"])
    ]
    # Neighbours by zone, then by name.
    assert registered_clinics(harness.deployment.instance) == [*SLUGS, "elm", "yew"]


def test_a_changed_schedule_counts_from_the_next_tick(harness: SensorHarness) -> None:
    deployment = harness.deployment
    assert len(harness.evaluate(NOON)) == 1
    with transaction(deployment.engine) as connection:
        set_schedule_config(
            connection,
            deployment.clinics["birch"],
            ScheduleConfig(sync_schedules={**OFF, Phase.INBOUND: "*/5 * * * *"}),
        )
    # The edit has the time of the database's clock, not the test's.
    (row,) = deployment.rows(
        "SELECT schedules_changed_at ->> 'inbound' AS noted FROM clinic_schedule_configs "
        "JOIN clinics ON clinic_id = id WHERE slug = 'birch'"
    )
    edited = datetime.fromisoformat(str(row.noted))
    harness.cursor = (edited - MINUTE).isoformat()
    plan_of_others = edited + timedelta(minutes=5)
    found = harness.evaluate(plan_of_others)
    assert "birch" in {slug for _, slugs in shape(found) for slug in slugs}
    harness.cursor = (edited - timedelta(hours=1)).isoformat()
    assert "birch" not in {slug for _, slugs in shape(harness.evaluate(edited)) for slug in slugs}


def test_an_evaluation_whose_cursor_was_lost_decides_the_same_again(harness: SensorHarness) -> None:
    make_run(harness.deployment, "inbound_sync", range_tags(("birch", "birch"), days(0, 0)))
    lost = harness.evaluate(NOON, keep=False)
    again = harness.evaluate(NOON + timedelta(seconds=30))
    assert [each.run_key for each in again] == [each.run_key for each in lost]
    assert shape(again) == [("inbound_sync", ["alder"]), ("inbound_sync", ["cedar"])]
    assert skips(harness.deployment) == {("birch", Phase.INBOUND): (1, NOON)}


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.SUCCESS])
def test_runs_launched_before_an_evaluation_was_cut_off_are_not_launched_again(
    harness: SensorHarness, status: dg.DagsterRunStatus
) -> None:
    harness.clinics_per_run = 1
    first, *_ = harness.evaluate(NOON, keep=False)
    harness.submit(first, status)
    harness.clinics_per_run = 50
    assert shape(harness.evaluate(NOON + MINUTE)) == [("inbound_sync", ["birch", "cedar"])]
    assert skips(harness.deployment) == {}


def test_a_finished_run_of_the_tick_before_blocks_nothing(harness: SensorHarness) -> None:
    (request,) = harness.evaluate(NOON)
    harness.submit(request, dg.DagsterRunStatus.SUCCESS)
    assert shape(harness.evaluate(NOON + timedelta(hours=1))) == [("inbound_sync", list(SLUGS))]


def test_a_run_decided_by_a_wrong_clock_blocks_nothing(harness: SensorHarness) -> None:
    (request,) = harness.evaluate(NOON)
    ahead = {**request.tags, "pims/decided": (NOON + timedelta(days=9)).isoformat()}
    make_run(harness.deployment, "inbound_sync", ahead, dg.DagsterRunStatus.SUCCESS)
    assert len(harness.evaluate(NOON + timedelta(hours=1))) == 1


@pytest.mark.parametrize("cursor", [None, "", "soon", "2026-03-09T10:00:00"])
def test_without_a_readable_cursor_no_past_tick_is_launched(
    harness: SensorHarness, cursor: str | None, logged: pytest.LogCaptureFixture
) -> None:
    harness.cursor = cursor
    assert harness.evaluate(NOON) == []
    assert harness.cursor == NOON.isoformat()
    assert log_entries(logged) == (
        [{"event": "schedules_start_over", "cursor": cursor, "now": NOON.isoformat()}]
        if cursor
        else []
    )


def test_a_clock_put_back_far_is_logged(
    harness: SensorHarness, logged: pytest.LogCaptureFixture
) -> None:
    harness.cursor = (NOON + timedelta(days=2)).isoformat()
    assert harness.evaluate(NOON) == []
    assert [entry["event"] for entry in log_entries(logged)] == ["schedules_start_over"]
    assert len(harness.evaluate(NOON + timedelta(hours=1))) == 1


def test_inactive_clinics_and_malformed_schedules_stop_no_other_clinic(
    harness: SensorHarness,
) -> None:
    plan(harness.deployment, "alder", inbound="often", cases="0 * * * *")
    harness.deployment.run("UPDATE clinics SET is_active = false WHERE slug = 'birch'")
    assert shape(harness.evaluate(NOON)) == [
        ("inbound_sync", ["cedar"]),
        ("case_sync", ["alder"]),
    ]
