"""The daily report has the store's numbers, small charts, and no personal data."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.assets.daily_report import report_metadata
from pims_pipeline.orchestration.assets.report_markdown import MAX_ROWS, markdown
from pims_pipeline.providers.port import TransientError
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.daily_report import (
    AdoptedDay,
    ClinicDay,
    Day,
    PhaseDay,
    report_of,
)
from pims_pipeline_tests.orchestration.deployment import (
    SLUGS,
    START,
    TODAY,
    DagsterDeployment,
    days,
)

QUIET = ClinicDay(
    clinic="alder",
    draft=0,
    ongoing=0,
    completed=0,
    reviewed=0,
    retired=0,
    holds_opened=0,
    holds_open=0,
    failures_new=0,
    failures_open=0,
)
SYNCED = PhaseDay(
    clinic="alder",
    phase=Phase.INBOUND,
    syncs=4,
    completed=4,
    failed=0,
    held=0,
    interrupted=0,
    in_progress=0,
    seconds=2.0,
    longest_seconds=0.75,
    created=3,
    updated=0,
    restored=0,
    deleted=0,
    enriched=0,
    errored=0,
    quarantined=0,
    left_out=0,
)


def pictures(report: str) -> list[bytes]:
    return [
        base64.b64decode(data)
        for data in re.findall(r"!\[[^\]]*\]\(data:image/png;base64,([^)]*)\)", report)
    ]


def of_today(deployment: DagsterDeployment) -> Day:
    with transaction(deployment.engine) as connection:
        return report_of(connection, datetime.now(UTC).date())


def test_a_day_with_syncs_is_reported_by_clinic_and_phase(deployment: DagsterDeployment) -> None:
    today = days(0, 0)
    for slug in SLUGS:
        deployment.book(slug, today)
    deployment.vendors["birch"].fail_next(TransientError("503"), "listing")
    deployment.sync("full_sync", SLUGS, today)
    deployment.vendors["alder"].delete(f"alder-{today.start}")
    deployment.vendors["alder"].book("another", datetime.combine(TODAY, datetime.min.time()))
    deployment.sync("full_sync", ["alder"], today)
    day = of_today(deployment)
    ended = {(each.clinic, each.phase.value): (each.completed, each.failed) for each in day.phases}
    assert ended == {
        ("alder", "inbound"): (2, 0),
        ("alder", "cases"): (2, 0),
        ("alder", "reconciliation"): (2, 0),
        ("birch", "inbound"): (0, 1),
        ("cedar", "inbound"): (1, 0),
        ("cedar", "cases"): (1, 0),
        ("cedar", "reconciliation"): (1, 0),
    }
    alder, birch, _ = day.clinics
    assert (alder.draft, alder.retired) == (1, 1)
    assert birch == replace(QUIET, clinic="birch")

    job = deployment.definitions.resolve_job_def("nightly_report")
    assert job.execute_in_process(instance=deployment.instance, partition_key=str(TODAY)).success
    metadata = deployment.metadata("daily_report", str(TODAY))
    assert (metadata["syncs"], metadata["completed"], metadata["failed"]) == (10, 9, 1)
    assert (metadata["retired"], metadata["clinics"], metadata["clinics_synced"]) == (1, 3, 3)
    report = str(metadata["report"])
    (picture,) = pictures(report)
    assert picture.startswith(b"\x89PNG")
    assert len(report) < 100_000
    # The fake vendor's names of patients and clients.
    assert "Patient" not in report
    assert "Client" not in report


def test_an_empty_day_has_a_report_without_tables(deployment: DagsterDeployment) -> None:
    with transaction(deployment.engine) as connection:
        day = report_of(connection, START)
    report = markdown(day)
    assert "Nothing was synced." in report
    assert "No clinic has cases, holds or failures on this date." in report
    assert pictures(report) == []
    assert report_metadata(day)["syncs"] == dg.MetadataValue.int(0)


def test_holds_and_failures_are_those_at_the_end_of_the_day(
    deployment: DagsterDeployment,
) -> None:
    clinic, noon = deployment.clinics["alder"].id, datetime(2026, 3, 9, 12, tzinfo=UTC)
    for opened, decided in ((noon, noon + timedelta(days=1)), (noon, noon)):
        deployment.run(
            "INSERT INTO reconciliation_holds (clinic_id, window_start, window_end, reason, plan, "
            "status, decided_at, created_at) VALUES (:id, '2026-03-09', '2026-03-09', "
            "'empty_listing', '{}', 'rejected', :decided, :opened)",
            id=clinic,
            opened=opened,
            decided=decided,
        )
    for key, resolved in (("a", noon), ("b", None)):
        deployment.run(
            "INSERT INTO sync_failures (clinic_id, provider_type, phase, record_key, error_class, "
            "error_message, first_failed_at, last_failed_at, resolved_at) "
            "VALUES (:id, 'p', 'cases', :key, 'E', 'm', :at, :at, :resolved)",
            id=clinic,
            key=key,
            at=noon,
            resolved=resolved,
        )
    on_the_day, after = (_waiting(deployment, noon + timedelta(days=n)) for n in (0, 1))
    assert on_the_day == {"holds": (2, 1), "failures": (2, 1)}
    assert after == {"holds": (0, 0), "failures": (0, 1)}


def _waiting(deployment: DagsterDeployment, time: datetime) -> dict[str, tuple[int, int]]:
    with transaction(deployment.engine) as connection:
        alder = report_of(connection, time.date()).clinics[0]
    return {
        "holds": (alder.holds_opened, alder.holds_open),
        "failures": (alder.failures_new, alder.failures_open),
    }


def test_a_long_table_leaves_out_rows_without_problems() -> None:
    slugs = [f"clinic-{number:03}" for number in range(MAX_ROWS + 5)]
    phases = [replace(SYNCED, clinic=slug) for slug in slugs]
    phases[-1] = replace(phases[-1], failed=2, completed=2)
    report = markdown(Day(TODAY, phases, [replace(QUIET, clinic=slug, draft=1) for slug in slugs]))
    assert "| clinic-064 | inbound |" in report
    assert "clinic-063 | inbound" not in report
    assert report.count("5 rows with fewer problems are left out.") == 2
    assert len(report) < 100_000


def test_the_report_is_made_shortly_after_midnight_of_the_day_that_ended(
    deployment: DagsterDeployment,
) -> None:
    schedule = deployment.definitions.resolve_schedule_def("nightly_report")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    midnight = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(minutes=10)

    def requested(at: datetime) -> tuple[list[str | None], str | None]:
        context = dg.build_schedule_context(
            instance=deployment.instance,
            scheduled_execution_time=at,
            repository_def=deployment.definitions.get_repository_def(),
        )
        found = schedule.evaluate_tick(context)
        return [each.partition_key for each in found.run_requests or []], found.skip_message

    assert requested(midnight) == ([str(TODAY - timedelta(days=1))], None)
    too_early = datetime.combine(START, datetime.min.time(), UTC) + timedelta(minutes=10)
    assert requested(too_early) == ([], f"reports begin on {START}")


def test_there_are_reports_up_to_today(deployment: DagsterDeployment) -> None:
    graph = deployment.definitions.resolve_asset_graph()
    partitions = graph.get(dg.AssetKey("daily_report")).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys()
    assert (keys[0], keys[-1]) == (str(START), str(TODAY))


def test_adopted_clinics_are_listed_with_their_differences(deployment: DagsterDeployment) -> None:
    deployment.run(
        "INSERT INTO adoptions (clinic_id, layout, their_schema, their_clinic_id, mode) "
        "SELECT id, 'deployed', 'theirs', id, 'shadow' FROM clinics WHERE slug = 'alder'"
    )
    for ago, differences in ((3, 0), (2, 4), (1, 0), (0, 0)):
        deployment.run(
            "INSERT INTO adoption_diffs (clinic_id, day, window_start, window_end, compared, "
            "differences, waiting, by_kind) SELECT id, :day, :day, :day, 30, :differences, 2, "
            """'{"time_shifted": 3, "status": 1}' FROM clinics WHERE slug = 'alder'""",
            day=TODAY - timedelta(days=ago),
            differences=differences,
        )
    with transaction(deployment.engine) as connection:
        day, before = (report_of(connection, each) for each in (TODAY, TODAY - timedelta(days=2)))
    shown = AdoptedDay(
        clinic="alder",
        mode="shadow",
        compared=30,
        differences=0,
        waiting=2,
        kinds="status 1, time_shifted 3",
        days_agreeing=2,
    )
    assert day.adopted == [shown]
    assert before.adopted == [replace(shown, differences=4, days_agreeing=0)]
    assert "Adopted clinics compared with v4.0" in markdown(day)
    assert "time_shifted 3" in markdown(day)
    assert "v4.0" not in markdown(replace(day, adopted=[]))
    assert report_metadata(before)["adoption_differences"].value == 4
