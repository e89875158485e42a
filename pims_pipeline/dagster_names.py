"""The names that the API, the command line, the syncs and Dagster must agree on.

Partition keys, dimensions, run tags, the code location: one process writes them, another reads
them. Add a name here when a second room needs it. Imports no Dagster; a test compares Dagster's
own names. The names of phases (assets, jobs) belong in ``domain.phases``.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase

LOCATION = "pims_pipeline"
"""The code location, as ``workspace.yaml`` names it. It is part of every run's origin."""

REPOSITORY = "__repository__"
"""Dagster's name for the one repository of a code location."""

DEFINITIONS_MODULE = "pims_pipeline.definitions"
"""The module from which Dagster loads the code location."""

DEFINITIONS_ATTRIBUTE = "defs"
"""The name of the ``Definitions`` in that module."""

ASSET_JOB = "__ASSET_JOB"
"""Dagster's name for the job of a run of selected assets."""

ALERTS_SENSOR = "alerting"
WEBHOOKS_SENSOR = "webhooks"
"""The sensor that opens and ends alerts."""

CLINIC_DIMENSION = "clinic"
DATE_DIMENSION = "date"
"""The two dimensions of a partition. Dagster orders the parts of a key by these names."""

CLINIC_PARTITIONS = "clinics"
"""The dynamic partitions of the clinic dimension: slugs of active clinics."""

KEY_SEPARATOR = "|"
"""The separator of the parts of a partition key. No slug contains it."""


class PartitionKey(NamedTuple):
    """The parts of a partition key."""

    slug: str
    day: date


def in_order_of_registration(clinics: Iterable[Clinic]) -> list[str]:
    """Return the slugs in an order that makes clinics which are often due together neighbours.

    Clinics of one time zone share their business date and the times of their schedules.
    """
    return [each.slug for each in sorted(clinics, key=lambda each: (each.timezone, each.slug))]


def partition_key(slug: str, day: date) -> str:
    """The key of a clinic's business date, such as ``riverbend|2026-03-09``."""
    return f"{slug}{KEY_SEPARATOR}{day.isoformat()}"


def parse_partition_key(key: str) -> PartitionKey:
    """The clinic and date of a key; the inverse of ``partition_key``.

    Raises:
        ValueError: If ``key`` is not such a key.
    """
    slug, separator, day = key.rpartition(KEY_SEPARATOR)
    if not separator:
        raise ValueError(f"{key!r} is not the partition key of a clinic's business date")
    return PartitionKey(slug, date.fromisoformat(day))


def clinic_of_key(key: str) -> str:
    """The slug in a partition key; empty for keys without one, such as those of daily reports."""
    return key.rpartition(KEY_SEPARATOR)[0]


PARTITION_TAG = "dagster/partition"
"""The partition key of a run over one partition."""

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
"""The first and last partition key of a run over a box of clinics × dates."""

PRIORITY_TAG = "dagster/priority"
"""A run's priority in the queue; 0 without the tag."""

MAX_RETRIES_TAG = "dagster/max_retries"
"""How many times Dagster retries a failed run."""

MAX_RUNTIME_TAG = "dagster/max_runtime"
"""Seconds after which Dagster's daemon terminates a run."""


def range_tags(box: tuple[str, str], window: DateRange) -> dict[str, str]:
    """The run tags that select a box of partitions.

    Args:
        box: The slugs of the first and the last clinic, in the order of registration.
        window: The business dates.
    """
    first, last = box
    return {
        RANGE_START_TAG: partition_key(first, window.start),
        RANGE_END_TAG: partition_key(last, window.end),
    }


ORIGIN_TAG = "pims/origin"
"""What started the run: one of the three below; absent if a person did elsewhere."""

API_ORIGIN = "api"
CONSOLE_ORIGIN = "console"
SCHEDULE_ORIGIN = "schedule"

PHASE_TAG = "pims/phase"
"""``inbound``, ``cases``, ``reconciliation`` or ``full``."""

CLINIC_TAG = "pims/clinic"
"""The slug, if the run has one clinic."""

EACH_CLINIC_TAG = "pims/clinic."
"""The prefix of the tag for each clinic of a run; the slug follows."""

KEY_ID_TAG = "pims/key_id"
"""The id of the API key that requested the run."""

SYNC_ID_TAG = "pims/sync_id"
"""The id in the API's response; the run's first audit gets it."""

TICK_TAG = "pims/tick"
"""The newest tick that a scheduled run covers."""

DECIDED_TAG = "pims/decided"
"""When the sensor decided to launch a scheduled run."""

DEMO_TAG = "pims/demo"
"""The act of ``pims demo`` that a run belongs to."""


def clinic_tags(slugs: Iterable[str]) -> dict[str, str]:
    """The tags that name a run's clinics.

    The Dagster UI finds runs by exact tags, so a run of many clinics carries one for each:
    ``pims/clinic.riverbend=yes`` finds every run of ``riverbend``.
    """
    named = list(slugs)
    tags = {f"{EACH_CLINIC_TAG}{slug}": "yes" for slug in named}
    return {CLINIC_TAG: named[0], **tags} if len(named) == 1 else tags


def clinics_tagged(tags: Mapping[str, str]) -> set[str]:
    """The slugs in the tags of ``clinic_tags``; empty without such tags."""
    return {name.removeprefix(EACH_CLINIC_TAG) for name in tags if name.startswith(EACH_CLINIC_TAG)}


def sync_id_of(tags: Mapping[str, str]) -> UUID | None:
    """The run's ``syncId``; ``None`` when the tag is absent or not a UUID."""
    try:
        return UUID(tags[SYNC_ID_TAG])
    except (KeyError, ValueError):
        return None


WAITING_STATUSES = ("QUEUED", "NOT_STARTED")
"""Dagster's statuses of a run that has no process yet."""

ACTIVE_STATUSES = ("STARTING", "STARTED", "CANCELING")
"""Dagster's statuses of a run that has a process."""


def fresh_check(phase: Phase) -> str:
    """The check on the phase's asset that fails while clinics are overdue."""
    return f"{phase.names.asset}_fresh"
