"""Turns due ticks into run requests: few wide runs, and one run of a phase at a clinic at a time.

``scheduling/timetable.py`` decides what is due; the sensor is in ``scheduled_syncs``. Nothing here
reads a clock: times are arguments.

Restarts. Dagster stores a sensor's cursor and its run requests together, and submits the runs of
an evaluation that was cut off. An evaluation that was cut off before that is repeated and decides
the same; skips that it already counted are recognized by their tick. If only some of its runs can
be submitted, Dagster gives the evaluation up in the end and repeats it; the launched runs are then
recognized by the time of their decision (``DECIDED_TAG``).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg
from dagster import DagsterInstance

from pims_pipeline.dagster_names import (
    DECIDED_TAG,
    ORIGIN_TAG,
    PHASE_TAG,
    PRIORITY_TAG,
    SCHEDULE_ORIGIN,
    TICK_TAG,
    clinic_tags,
    range_tags,
)
from pims_pipeline.domain.clinics import DateRange, business_date, last_syncable_date
from pims_pipeline.domain.phases import Phase
from pims_pipeline.orchestration.partitions import neighbours, registered_clinics
from pims_pipeline.orchestration.run_scope import ClinicPhase, clinic_phases_of
from pims_pipeline.scheduling.timetable import DueTick
from pims_pipeline.sync.windows import default_window

PRIORITY = "-1"
"""Behind the runs of operators and clients, which have priority 0."""

_PAGE = 50


@dataclass(frozen=True, slots=True)
class GroupedTicks:
    """Due ticks, by what to do with them.

    Attributes:
        launch: Launch a run for these.
        skip: An unfinished run does the phase at the clinic.
    """

    launch: list[DueTick]
    skip: list[DueTick]


def group_ticks(
    due: Iterable[DueTick], active: set[ClinicPhase], decided: Mapping[ClinicPhase, datetime]
) -> GroupedTicks:
    """Decide which due ticks to launch and which to skip.

    Args:
        due: The due ticks.
        active: Phases and clinics of unfinished runs.
        decided: When a scheduled run was last decided for a phase and clinic. Ticks up to then
            are done: neither launched nor skipped.
    """
    launch: list[DueTick] = []
    skip: list[DueTick] = []
    for each in due:
        key = (each.phase, each.slug)
        if key in decided and each.tick <= decided[key]:
            continue
        (skip if key in active else launch).append(each)
    return GroupedTicks(launch, skip)


def decided_clinic_phases(
    instance: DagsterInstance, since: datetime, now: datetime, order: Sequence[str]
) -> dict[ClinicPhase, datetime]:
    """Return when scheduled runs, finished or not, were decided after ``since``.

    Args:
        instance: The Dagster instance.
        since: The earliest time, not included; aware.
        now: The latest time, included; aware.
        order: Every clinic that has partitions, in the order of registration.

    Returns:
        By phase and clinic, the time of the last decision.
    """
    found: dict[ClinicPhase, datetime] = {}
    for decided, run in _scheduled_runs(instance, since, now):
        for key in clinic_phases_of(run, order):
            found[key] = max(found.get(key, decided), decided)
    return found


def _scheduled_runs(
    instance: DagsterInstance, since: datetime, now: datetime
) -> Iterator[tuple[datetime, dg.DagsterRun]]:
    """The runs decided after ``since``, newest first, so that few pages are read.

    Not filtered by their creation time, because that is another host's clock.
    """
    cursor: str | None = None
    while True:
        page = instance.get_runs(
            filters=dg.RunsFilter(tags={ORIGIN_TAG: SCHEDULE_ORIGIN}), cursor=cursor, limit=_PAGE
        )
        later = [
            (decided, run)
            for run in page
            # A decision in the future was noted by a wrong clock.
            if (decided := parse_timestamp(run.tags.get(DECIDED_TAG))) and since < decided <= now
        ]
        yield from later
        if len(page) < _PAGE or not later:
            return
        cursor = page[-1].run_id


def parse_timestamp(text: str | None) -> datetime | None:
    """Parse the ISO 8601 timestamp of a tag or cursor.

    Returns:
        An aware time; None for any other text, and for a time without a time zone.
    """
    try:
        timestamp = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else None


def run_requests(
    instance: DagsterInstance,
    due: Iterable[DueTick],
    *,
    now: datetime,
    partition_start: date,
    clinics_per_run: int,
) -> list[dg.RunRequest]:
    """Request the fewest runs that sync exactly what is due.

    A run has one phase, one window, and clinics that are neighbours in the order of registration.

    Args:
        instance: The Dagster instance; every clinic must have partitions.
        due: At most one tick of each clinic and phase.
        now: The time of the decision; aware.
        partition_start: The first date that has partitions.
        clinics_per_run: How many clinics a run may have.
    """
    groups: defaultdict[tuple[Phase, DateRange], dict[str, DueTick]] = defaultdict(dict)
    for each in due:
        groups[each.phase, _window(each, now, partition_start)][each.slug] = each
    order = registered_clinics(instance)
    return [
        _request([group[slug] for slug in slugs], window, now)
        for (_, window), group in groups.items()
        for slugs in neighbours(order, group, at_most=clinics_per_run)
    ]


def _request(due: Sequence[DueTick], window: DateRange, now: datetime) -> dg.RunRequest:
    """The run for ticks of one phase, of clinics that are neighbours."""
    phase = due[0].phase
    slugs = [each.slug for each in due]
    newest = max(each.tick for each in due).isoformat()
    return dg.RunRequest(
        job_name=phase.names.job,
        run_key=f"{phase} {newest} {window} {_digest(due)}",
        tags={
            **range_tags((slugs[0], slugs[-1]), window),
            ORIGIN_TAG: SCHEDULE_ORIGIN,
            PHASE_TAG: phase.value,
            TICK_TAG: newest,
            DECIDED_TAG: now.isoformat(),
            PRIORITY_TAG: PRIORITY,
            **clinic_tags(slugs),
        },
    )


def _digest(due: Iterable[DueTick]) -> str:
    """A digest of the clinics and their ticks, in any order."""
    lines = "\n".join(sorted(f"{each.slug} {each.tick.isoformat()}" for each in due))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _window(due: DueTick, now: datetime, partition_start: date) -> DateRange:
    """The default window of the clinic's phase today, limited to dates that have partitions."""
    today = max(business_date(now, due.schedule.clinic.zone), partition_start)
    window = default_window(
        due.phase.names.scope, today, due.schedule.config, earliest=partition_start
    )
    last = last_syncable_date(now.astimezone(UTC).date())
    return DateRange(window.start, min(window.end, last))
