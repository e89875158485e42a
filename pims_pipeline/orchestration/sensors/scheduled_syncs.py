"""The sensors: clinics' partitions as clinics are registered, and runs as schedules say.

Deciding is pure (here, in ``scheduling`` and in ``scheduling/timetable.py``); reading and asking
Dagster stands around it. A read that fails raises: it is not the news that there are no
clinics, or that nothing is due.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration._dagster_private import (
    UnresolvedAssetJobDefinition,
    has_backfill_to_launch,
)
from pims_pipeline.orchestration.partitions import (
    CLINICS,
    clinics_between,
    in_order_of_registration,
    register_clinics,
    registered_clinics,
)
from pims_pipeline.orchestration.sensors.scheduled_runs import (
    UNFINISHED,
    Sorted,
    active_clinic_phases,
    decided_clinic_phases,
    end_abandoned_runs,
    group_ticks,
    parse_timestamp,
    run_requests,
)
from pims_pipeline.scheduling.timetable import Decision, decide
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database.clock import check_clock
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.schedules import (
    SkippedTick,
    active_schedules,
    end_skips,
    record_skips,
)

DECIDING_SECONDS = 30
"""How often schedules are looked at; a tick waits no longer."""

log = get_logger(__name__)


class PartitionChanges(NamedTuple):
    """Slugs whose partitions are to be made, and to be removed."""

    add: list[str]
    remove: list[str]


def partition_changes(
    active: Sequence[str], known: Sequence[str], busy: Collection[str]
) -> PartitionChanges:
    """Decide which partitions change.

    Args:
        active: The clinics that are synced.
        known: The clinics that have partitions.
        busy: The clinics that an unfinished run works on; theirs stay until it is done.
    """
    return PartitionChanges(
        add=[slug for slug in active if slug not in known],
        remove=[slug for slug in known if slug not in active and slug not in busy],
    )


def busy_clinics(instance: DagsterInstance, known: Sequence[str]) -> set[str]:
    """The clinics that an unfinished run works on; all, while a backfill has runs to come."""
    if has_backfill_to_launch(instance):
        return set(known)
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return {slug for run in runs for slug in clinics_between(known, run.tags)}


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Gives every active clinic its partitions; takes away those of others.",
)
def clinic_partitions(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Engine]
) -> dg.SensorResult | dg.SkipReason:
    """One look at both sides."""
    with transaction(store) as connection:
        active = in_order_of_registration(active_clinics(connection))
    known = registered_clinics(context.instance)
    if set(active) == set(known):
        return dg.SkipReason("every active clinic has its partitions, and no other has")
    changes = partition_changes(active, known, busy_clinics(context.instance, known))
    return dg.SensorResult(dynamic_partitions_requests=list(_requests(changes)))


def _requests(
    changes: PartitionChanges,
) -> Iterator[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    if changes.add:
        yield CLINICS.build_add_request(changes.add)
    if changes.remove:
        yield CLINICS.build_delete_request(changes.remove)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Looks at the schedules once, with what it needs for that.

    Attributes:
        partition_start: The first business date that has partitions.
        clinics_per_run: How many clinics a run may have.
        stuck_after: How long a run may take; one that does not move for longer is ended.
    """

    engine: Engine
    instance: DagsterInstance
    partition_start: date
    clinics_per_run: int
    stuck_after: timedelta = timedelta(hours=2)

    def look(self, cursor: str | None, now: datetime) -> dg.SensorResult:
        """The runs that are due at ``now``, and the cursor to go on from.

        Args:
            cursor: Up to when everything has been dealt with; what is no moment counts as
                the very first look.
            now: Aware.
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
            skip_reason=None if requests else "nothing is due that could be started",
            cursor=decision.until.isoformat(),
        )

    def _requests(self, decision: Decision, since: datetime, now: datetime) -> list[dg.RunRequest]:
        # Clinics that another sensor has not come to yet; their ticks are not to be lost.
        register_clinics(
            self.instance,
            in_order_of_registration({each.schedule.clinic for each in decision.due}),
        )
        order = registered_clinics(self.instance)
        found = group_ticks(
            decision.due,
            going=active_clinic_phases(self.instance, order),
            decided=decided_clinic_phases(self.instance, since, now, order),
        )
        self._count(found)
        return run_requests(
            self.instance,
            found.launch,
            now=now,
            partition_start=self.partition_start,
            clinics_per_run=self.clinics_per_run,
        )

    def _count(self, found: Sorted) -> None:
        with transaction(self.engine) as connection:
            record_skips(
                connection,
                [
                    SkippedTick(each.schedule.clinic.id, each.phase, each.tick)
                    for each in found.skip
                ],
            )
            end_skips(connection, {(each.schedule.clinic.id, each.phase) for each in found.launch})
        for each in found.skip:
            log.warning(
                "tick_skipped",
                clinic=each.slug,
                phase=each.phase,
                tick=each.tick.isoformat(),
                reason="a run of the phase is still going",
            )


def build_scheduled_syncs(
    jobs: Sequence[UnresolvedAssetJobDefinition],
    *,
    partition_start: date,
    clinics_per_run: int,
    run_timeout: float,
) -> dg.SensorDefinition:
    """The sensor that starts what clinics' schedules say.

    Args:
        jobs: Those it may start.
        partition_start: The first business date that has partitions.
        clinics_per_run: How many clinics a run may have.
        run_timeout: Seconds that a run may take.
    """

    @dg.sensor(
        name="scheduled_syncs",
        jobs=jobs,
        minimum_interval_seconds=DECIDING_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Starts the syncs that are due by each clinic's own schedule, in its own time zone. "
            "Its cursor is the moment up to which every tick has been dealt with."
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
        return scheduler.look(context.cursor, check_clock(store))

    return scheduled_syncs
