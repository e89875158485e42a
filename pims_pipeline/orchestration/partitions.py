"""Clinics × business dates: the partitions of every asset, and what a selection of them means.

Keys are built and read in ``dagster_names``. Nothing here enumerates all of them: with hundreds
of clinics that takes seconds; a selection is always small beside the whole.
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
from pims_pipeline.domain.clinics import DAYS_AHEAD, Clinic

CLINICS = dg.DynamicPartitionsDefinition(name=CLINIC_PARTITIONS)
"""The active clinics' slugs; ``sensors.clinic_partitions`` keeps them so."""

# Dagster's day ends in UTC, and the last partition is the last day that has ended: one day
# more makes today exist, another one the today of clinics east of Greenwich.
_END_OFFSET = DAYS_AHEAD + 2


def clinic_days(start: date) -> dg.MultiPartitionsDefinition:
    """Every clinic's every business date from ``start`` to ``DAYS_AHEAD`` days from today."""
    days = dg.DailyPartitionsDefinition(start_date=start.isoformat(), end_offset=_END_OFFSET)
    return dg.MultiPartitionsDefinition({CLINIC_DIMENSION: CLINICS, DATE_DIMENSION: days})


def selected_days(keys: Iterable[str]) -> dict[str, list[date]]:
    """The selected business dates of each clinic, by slug, in order."""
    days: defaultdict[str, set[date]] = defaultdict(set)
    for key in keys:
        slug, day = parse_partition_key(key)
        days[slug].add(day)
    return {slug: sorted(days[slug]) for slug in sorted(days)}


def registered_clinics(instance: DagsterInstance) -> list[str]:
    """The slugs that have partitions, in the order of their registration."""
    return list(instance.get_dynamic_partitions(CLINIC_PARTITIONS))


def in_order_of_registration(clinics: Iterable[Clinic]) -> list[str]:
    """The slugs, so that clinics which are often due together become neighbours.

    Those of one time zone have the same day, and schedules that mean the same moment.
    """
    return [each.slug for each in sorted(clinics, key=lambda each: (each.timezone, each.slug))]


def register_clinics(instance: DagsterInstance, slugs: Iterable[str]) -> list[str]:
    """Make partitions for clinics that have none, in this order; gives the slugs of those."""
    known = set(registered_clinics(instance))
    new = [slug for slug in dict.fromkeys(slugs) if slug not in known]
    if new:
        instance.add_dynamic_partitions(CLINIC_PARTITIONS, new)
    return new


def neighbours(
    order: Iterable[str], slugs: Iterable[str], *, at_most: int | None = None
) -> list[list[str]]:
    """The fewest rows of clinics without a stranger in between that hold exactly ``slugs``.

    A run covers every clinic that lies between two others in the order of their
    registration, so clinics that are not neighbours need runs of their own.

    Args:
        order: Every clinic, in the order of registration; what is not in it is left out.
        slugs: The clinics wanted.
        at_most: How many may be in a row.
    """
    wanted = set(slugs)
    rows: list[list[str]] = [[]]
    for slug in order:
        if slug not in wanted or len(rows[-1]) == at_most:
            rows.append([])
        if slug in wanted:
            rows[-1].append(slug)
    return [row for row in rows if row]


def boxes(instance: DagsterInstance, slugs: Iterable[str]) -> list[tuple[str, str]]:
    """The first and last clinic of each run that it takes to cover exactly ``slugs``."""
    return [(row[0], row[-1]) for row in neighbours(registered_clinics(instance), slugs)]


def clinics_between(order: Sequence[str], tags: Mapping[str, str]) -> set[str]:
    """The clinics that a run with these tags works on.

    Args:
        order: Every clinic, in the order of registration.
        tags: The run's; those of a partition key or of a range of keys.
    """
    if key := tags.get(PARTITION_TAG):
        return {clinic_of_key(key)}
    ends = [clinic_of_key(tags[tag]) for tag in (RANGE_START_TAG, RANGE_END_TAG) if tag in tags]
    if not ends or any(slug not in order for slug in ends):
        return set(ends)
    places = sorted(order.index(slug) for slug in ends)
    return set(order[places[0] : places[-1] + 1])
