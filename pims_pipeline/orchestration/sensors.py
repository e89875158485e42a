"""The sensor that keeps the clinics' partitions in step with the registered clinics.

Deciding is pure; reading and asking Dagster stands around it. A read that fails raises: it
is not the news that there are no clinics.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import dagster as dg
from dagster import DagsterInstance

# Dagster has no public name for a backfill's status.
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from sqlalchemy import Engine

from pims_pipeline.orchestration.partitions import CLINICS, clinics_between, registered_clinics
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database import transaction

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

UNFINISHED_BACKFILLS = [
    BulkActionStatus.REQUESTED,
    BulkActionStatus.CANCELING,
    BulkActionStatus.FAILING,
]


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
    if instance.get_backfills(filters=BulkActionsFilter(statuses=UNFINISHED_BACKFILLS), limit=1):
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
        active = [clinic.slug for clinic in active_clinics(connection)]
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
