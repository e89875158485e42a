"""The partitions of the phases' assets: clinics × business dates.

``dagster_names`` builds and parses partition keys. Never enumerate all keys: with hundreds of
clinics that takes seconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg
from dagster import DagsterInstance

from pims_pipeline.dagster_names import (
    CLINIC_DIMENSION,
    CLINIC_PARTITIONS,
    DATE_DIMENSION,
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    clinic_of_key,
    parse_partition_key,
)
from pims_pipeline.domain.clinics import DAYS_AHEAD

CLINICS = dg.DynamicPartitionsDefinition(name=CLINIC_PARTITIONS)
"""The slugs of the active clinics; ``sensors.clinic_partitions`` keeps them up to date."""

# By default, Dagster's last partition is the last day that has ended in UTC. One day more adds
# today, and a second one the local today of clinics east of Greenwich.
_END_OFFSET = DAYS_AHEAD + 2


def clinic_days(start: date) -> dg.MultiPartitionsDefinition:
    """Every clinic's business dates from ``start`` to ``DAYS_AHEAD`` days from today."""
    days = dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=_END_OFFSET)
    return dg.MultiPartitionsDefinition({CLINIC_DIMENSION: CLINICS, DATE_DIMENSION: days})


def selected_days(keys: Iterable[str]) -> dict[str, list[date]]:
    """Return the business dates of each clinic in these partition keys, both in order."""
    days: defaultdict[str, set[date]] = defaultdict(set)
    for key in keys:
        slug, day = parse_partition_key(key)
        days[slug].add(day)
    return {slug: sorted(days[slug]) for slug in sorted(days)}


def registered_clinics(instance: DagsterInstance) -> list[str]:
    """Return the clinics that have partitions, in the order of registration."""
    return list(instance.get_dynamic_partitions(CLINIC_PARTITIONS))


def register_clinics(instance: DagsterInstance, slugs: Iterable[str]) -> list[str]:
    """Add partitions for clinics that have none, in this order.

    Returns:
        The clinics that were added.
    """
    known = set(registered_clinics(instance))
    new = [slug for slug in dict.fromkeys(slugs) if slug not in known]
    if new:
        instance.add_dynamic_partitions(CLINIC_PARTITIONS, new)
    return new


def neighbours(
    order: Iterable[str], slugs: Iterable[str], *, at_most: int | None = None
) -> list[list[str]]:
    """Split clinics into the fewest groups of neighbours.

    A run covers every clinic between its first and last in the order of registration, so clinics
    that are not neighbours need separate runs.

    Args:
        order: Every clinic, in the order of registration.
        slugs: The clinics to group; those that are not in ``order`` are left out.
        at_most: The most clinics in a group.

    Example:
        >>> neighbours(["a", "b", "c", "d"], ["a", "b", "d"])
        [['a', 'b'], ['d']]
    """
    wanted = set(slugs)
    groups: list[list[str]] = [[]]
    for slug in order:
        if slug not in wanted or len(groups[-1]) == at_most:
            groups.append([])
        if slug in wanted:
            groups[-1].append(slug)
    return [group for group in groups if group]


def boxes(instance: DagsterInstance, slugs: Iterable[str]) -> list[tuple[str, str]]:
    """Return the first and last clinic of each run needed to cover exactly ``slugs``."""
    return [(group[0], group[-1]) for group in neighbours(registered_clinics(instance), slugs)]


def clinics_between(order: Sequence[str], tags: Mapping[str, str]) -> set[str]:
    """Return the clinics of a run.

    Args:
        order: Every clinic, in the order of registration.
        tags: The run's tags, with a partition key or a range of keys.
    """
    if key := tags.get(PARTITION_TAG):
        return {clinic_of_key(key)}
    ends = [clinic_of_key(tags[tag]) for tag in (RANGE_START_TAG, RANGE_END_TAG) if tag in tags]
    if not ends or any(slug not in order for slug in ends):
        return set(ends)
    positions = sorted(order.index(slug) for slug in ends)
    return set(order[positions[0] : positions[-1] + 1])
