"""The sensor ``scheduled_syncs``: starts the syncs that are due by clinics' schedules.

``scheduling/timetable.py`` decides what is due, and ``scheduled_runs`` which runs to request. A
failed read raises: it does not mean that nothing is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.dagster_names import in_order_of_registration
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration._dagster_private import UnresolvedAssetJobDefinition
from pims_pipeline.orchestration.partitions import (
    register_clinics,
    registered_clinics,
)
from pims_pipeline.orchestration.run_scope import active_clinic_phases
from pims_pipeline.orchestration.sensors.abandoned_runs import end_abandoned_runs
from pims_pipeline.orchestration.sensors.scheduled_runs import (
    GroupedTicks,
    decided_clinic_phases,
    group_ticks,
    parse_timestamp,
    run_requests,
)
from pims_pipeline.scheduling.timetable import DueTicks, decide
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.schedules import (
    SkippedTick,
    active_schedules,
    end_skips,
    record_skips,
)

INTERVAL_SECONDS = 30
"""How often schedules are evaluated; a due tick waits no longer."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Evaluates the clinics' schedules.

    Attributes:
        engine: The database of cases.
        instance: The Dagster instance.
        partition_start: The first business date that has partitions.
        clinics_per_run: How many clinics a run may have.
        stuck_after: How long a run may take; see ``end_abandoned_runs``.
    """

    engine: Engine
    instance: DagsterInstance
    partition_start: date
    clinics_per_run: int
    stuck_after: timedelta = timedelta(hours=2)

    def evaluate(self, cursor: str | None, now: datetime) -> dg.SensorResult:
        """Return the runs that are due at ``now``, and the next cursor.

        Args:
            cursor: The time up to which all ticks are done. Text that is no aware time counts
                as the first evaluation, at which nothing is due.
            now: The present time; aware.
        """
        since = parse_timestamp(cursor)
        with transaction(self.engine) as connection:
            schedules = active_schedules(connection)
        decision = decide(schedules, since, now)
        if decision.started_over or (cursor and since is None):
            log.warning("schedules_start_over", cursor=cursor, now=now.isoformat())
        for run_id in end_abandoned_runs(
            self.instance, self.engine, now, stuck_after=self.stuck_after
        ):
            log.warning("abandoned_run_ended", run_id=run_id)
        requests = self._requests(decision, since, now) if decision.due and since else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "no run is due that can be launched",
            cursor=decision.until.isoformat(),
        )

    def _requests(self, decision: DueTicks, since: datetime, now: datetime) -> list[dg.RunRequest]:
        # `clinic_partitions` may not have added a new clinic yet; its tick must not be lost.
        register_clinics(
            self.instance,
            in_order_of_registration({each.schedule.clinic for each in decision.due}),
        )
        order = registered_clinics(self.instance)
        ticks = group_ticks(
            decision.due,
            active=active_clinic_phases(self.instance, order),
            decided=decided_clinic_phases(self.instance, since, now, order),
        )
        self._record_skips(ticks)
        return run_requests(
            self.instance,
            ticks.launch,
            now=now,
            partition_start=self.partition_start,
            clinics_per_run=self.clinics_per_run,
        )

    def _record_skips(self, ticks: GroupedTicks) -> None:
        with transaction(self.engine) as connection:
            record_skips(
                connection,
                [
                    SkippedTick(each.schedule.clinic.id, each.phase, each.tick)
                    for each in ticks.skip
                ],
            )
            end_skips(connection, {(each.schedule.clinic.id, each.phase) for each in ticks.launch})
        for each in ticks.skip:
            log.warning(
                "tick_skipped",
                clinic=each.slug,
                phase=each.phase,
                tick=each.tick.isoformat(),
                reason="a run of the phase is unfinished",
            )


def build_scheduled_syncs(
    jobs: Sequence[UnresolvedAssetJobDefinition],
    *,
    partition_start: date,
    clinics_per_run: int,
    run_timeout: float,
) -> dg.SensorDefinition:
    """Return the sensor ``scheduled_syncs``.

    Args:
        jobs: The jobs that it may launch.
        partition_start: The first business date that has partitions.
        clinics_per_run: How many clinics a run may have.
        run_timeout: Seconds that a run may take.
    """

    @dg.sensor(
        name="scheduled_syncs",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Launches the syncs that are due by each clinic's schedule, in its time zone. "
            "The cursor is the time up to which all ticks are done."
        ),
    )
    def scheduled_syncs(
        context: dg.SensorEvaluationContext, store: dg.ResourceParam[Engine]
    ) -> dg.SensorResult:
        scheduler = Scheduler(
            engine=store,
            instance=context.instance,
            partition_start=partition_start,
            clinics_per_run=clinics_per_run,
            stuck_after=timedelta(seconds=run_timeout),
        )
        return scheduler.evaluate(context.cursor, check_clock(store))

    return scheduled_syncs
