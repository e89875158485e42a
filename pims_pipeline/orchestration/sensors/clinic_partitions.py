"""The sensor ``clinic_partitions``: adds and removes partitions as clinics are registered.

A failed read raises: it does not mean that there are no clinics.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.dagster_names import in_order_of_registration
from pims_pipeline.orchestration._dagster_private import has_backfill_to_launch
from pims_pipeline.orchestration.partitions import (
    CLINICS,
    clinics_between,
    registered_clinics,
)
from pims_pipeline.orchestration.run_scope import UNFINISHED
from pims_pipeline.store.clinics import active_clinics
from pims_pipeline.store.database.engine import transaction


class PartitionChanges(NamedTuple):
    """Clinics whose partitions are to be added, and to be removed; by slug."""

    add: list[str]
    remove: list[str]


def partition_changes(
    active: Sequence[str], known: Sequence[str], busy: Collection[str]
) -> PartitionChanges:
    """Decide which partitions to add and to remove.

    Args:
        active: The active clinics.
        known: The clinics that have partitions.
        busy: The clinics of unfinished runs; these keep their partitions until the run ends.
    """
    return PartitionChanges(
        add=[slug for slug in active if slug not in known],
        remove=[slug for slug in known if slug not in active and slug not in busy],
    )


def busy_clinics(instance: DagsterInstance, known: Sequence[str]) -> set[str]:
    """Return the clinics of unfinished runs; all clinics while a backfill has runs to launch."""
    if has_backfill_to_launch(instance):
        return set(known)
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return {slug for run in runs for slug in clinics_between(known, run.tags)}


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Adds partitions for active clinics, and removes those of inactive ones once no run "
        "works on them."
    ),
)
def clinic_partitions(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Engine]
) -> dg.SensorResult | dg.SkipReason:
    """Compare the active clinics with the partitions."""
    with transaction(store) as connection:
        active = in_order_of_registration(active_clinics(connection))
    known = registered_clinics(context.instance)
    if set(active) == set(known):
        return dg.SkipReason("exactly the active clinics have partitions")
    changes = partition_changes(active, known, busy_clinics(context.instance, known))
    return dg.SensorResult(dynamic_partitions_requests=list(_requests(changes)))


def _requests(
    changes: PartitionChanges,
) -> Iterator[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    if changes.add:
        yield CLINICS.build_add_request(changes.add)
    if changes.remove:
        yield CLINICS.build_delete_request(changes.remove)
