"""Evaluates the sensor ``scheduled_syncs`` at times that the test chooses."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from pims_pipeline.dagster_names import RANGE_END_TAG, RANGE_START_TAG, clinics_tagged
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.launching import JobOutcome, job_origin, run_in_process
from pims_pipeline.orchestration.sensors.scheduled_syncs import Scheduler
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.clinics import set_schedule_config
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.schedules import skipped_ticks
from pims_pipeline_tests.orchestration.deployment import START, TODAY, DagsterDeployment, days

NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OFF = dict.fromkeys(Phase, "off")


@dataclass
class SensorHarness:
    """The sensor ``scheduled_syncs``, evaluated and obeyed as by the daemon.

    Attributes:
        deployment: The clinics and their Dagster.
        cursor: The sensor's cursor.
        clinics_per_run: How many clinics a run may have.
        stuck_after: How long a run may take.
        partition_start: The first date that has partitions.
    """

    deployment: DagsterDeployment
    cursor: str | None = None
    clinics_per_run: int = 50
    stuck_after: timedelta = timedelta(hours=2)
    partition_start: date = START

    def evaluate(self, now: datetime, *, keep: bool = True) -> list[dg.RunRequest]:
        """Evaluate the sensor once; without ``keep``, its new cursor is lost."""
        scheduler = Scheduler(
            engine=self.deployment.engine,
            instance=self.deployment.instance,
            partition_start=self.partition_start,
            clinics_per_run=self.clinics_per_run,
            stuck_after=self.stuck_after,
        )
        result = scheduler.evaluate(self.cursor, now)
        if keep:
            self.cursor = result.cursor
        return list(result.run_requests or [])

    def submit(
        self,
        request: dg.RunRequest,
        status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
    ) -> dg.DagsterRun:
        """Create the requested run."""
        assert request.job_name is not None
        assert request.run_key is not None
        return make_run(
            self.deployment,
            request.job_name,
            {**request.tags, "dagster/run_key": request.run_key},
            status,
        )


def make_run(
    deployment: DagsterDeployment,
    job: str,
    tags: dict[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
) -> dg.DagsterRun:
    return deployment.instance.create_run_for_job(
        job_def=deployment.definitions.get_repository_def().get_job(job),
        tags=tags,
        status=status,
        remote_job_origin=job_origin(job),
    )


def begin_audit(
    harness: SensorHarness, slug: str, run_id: str, *, owner: int, at: datetime
) -> None:
    """Start an audit of the run, owned by the process ``owner``."""
    with transaction(harness.deployment.engine) as connection:
        start_audit(
            connection,
            clinic=harness.deployment.clinics[slug],
            sync_type=Phase.INBOUND,
            window=days(0, 0),
            run_id=run_id,
            owner=owner,
            now=at,
        )


def plan(deployment: DagsterDeployment, slug: str, **crons: str) -> None:
    """Give a clinic this schedule, since long ago; the other phases are off."""
    stored = {**OFF, **{Phase(phase): cron for phase, cron in crons.items()}}
    with transaction(deployment.engine) as connection:
        set_schedule_config(
            connection, deployment.clinics[slug], ScheduleConfig(sync_schedules=stored)
        )
    backdate_schedules(deployment)


def backdate_schedules(deployment: DagsterDeployment) -> None:
    deployment.run("UPDATE clinics SET scheduled_since = '2000-01-01Z'")
    deployment.run("UPDATE clinic_schedule_configs SET schedules_changed_at = '{}'")


def shape(requests: Iterable[dg.RunRequest]) -> list[tuple[str | None, list[str]]]:
    """Return each run's job and clinics."""
    return [(each.job_name, sorted(clinics_tagged(each.tags))) for each in requests]


def log_entries(logged: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """Return the logged entries, without the keys that every entry has."""
    return [
        {name: value for name, value in each.msg.items() if name not in {"logger", "level"}}
        for each in logged.records
        if isinstance(each.msg, dict)
    ]


def skips(deployment: DagsterDeployment) -> dict[tuple[str, Phase], tuple[int, datetime]]:
    slugs = {clinic.id: slug for slug, clinic in deployment.clinics.items()}
    with transaction(deployment.engine) as connection:
        found = skipped_ticks(connection)
    return {
        (slugs[clinic], phase): (each.number, each.last)
        for clinic, phases in found.items()
        for phase, each in phases.items()
    }


def execute(
    deployment: DagsterDeployment, request: dg.RunRequest, partition_start: date
) -> JobOutcome:
    """Execute the requested run, over the fake vendors."""
    slugs = sorted(clinics_tagged(request.tags))
    first, last = (
        date.fromisoformat(request.tags[tag].rpartition("|")[2])
        for tag in (RANGE_START_TAG, RANGE_END_TAG)
    )
    assert request.job_name is not None
    outcome = run_in_process(
        deployment.definitions,
        request.job_name,
        slugs=slugs,
        window=DateRange(first, last),
        partition_start=partition_start,
        instance=deployment.instance,
        engine=deployment.engine,
        tags=request.tags,
    )
    ids = {clinic.id: slug for slug, clinic in deployment.clinics.items()}
    assert sorted({ids[audit.clinic_id] for audit in outcome.audits}) == slugs
    assert {str(audit.sync_type) for audit in outcome.audits} == {request.tags["pims/phase"]}
    return outcome
