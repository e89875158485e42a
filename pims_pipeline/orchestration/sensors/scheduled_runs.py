"""From due ticks to runs: as few and wide as possible, and never two of a phase at a clinic.

What is due is decided in ``scheduling/timetable.py``; the sensor that asks stands in ``sensors``.
Nothing here looks at a clock: moments are arguments.

Kill-safety. A sensor's cursor and the runs it asks for are stored together by Dagster, which
submits the runs of an evaluation that was cut short. An evaluation that was cut short before
that is done again, and decides the same; skips it had counted already are known by their
tick. One whose runs could be submitted only in part is given up by Dagster in the end, and
done again too: then the runs that were launched are known by the moment of their decision.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance
from sqlalchemy import Engine

from pims_pipeline.dagster_names import (
    ACTIVE_STATUSES,
    ASSET_JOB,
    DECIDED_TAG,
    ORIGIN_TAG,
    PHASE_TAG,
    PRIORITY_TAG,
    SCHEDULE_ORIGIN,
    TICK_TAG,
    WAITING_STATUSES,
    clinic_tags,
    clinics_tagged,
    range_tags,
)
from pims_pipeline.domain.clinics import DateRange, business_date, last_syncable_date
from pims_pipeline.domain.moments import age_of
from pims_pipeline.domain.phases import PHASE_OF_ASSET, PHASES, PHASES_OF, Phase
from pims_pipeline.observability.logging import get_logger
from pims_pipeline.orchestration.jobs import JOBS
from pims_pipeline.orchestration.partitions import (
    clinics_between,
    neighbours,
    registered_clinics,
)
from pims_pipeline.scheduling.timetable import DueTick
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.retries import in_transaction
from pims_pipeline.store.liveness import interrupt_runs, run_activities
from pims_pipeline.sync.windows import default_window

PRIORITY = "-1"
"""Behind everything that somebody asked for, which has 0."""

UNFINISHED = [dg.DagsterRunStatus[name] for name in (*WAITING_STATUSES, *ACTIVE_STATUSES)]

log = get_logger(__name__)

_PAGE = 50

IDLE_LIMIT = timedelta(minutes=5)
"""How long a run may give no sign of life: its start, or the end of its clinics' work."""

ClinicPhase = tuple[Phase, str]
"""A phase and a clinic's slug."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Due ticks, by what becomes of them.

    Attributes:
        launch: To be launched.
        skip: A run of the phase is still going at the clinic.
    """

    launch: list[DueTick]
    skip: list[DueTick]


def group_ticks(
    due: Iterable[DueTick], going: set[ClinicPhase], decided: Mapping[ClinicPhase, datetime]
) -> Sorted:
    """Decide what becomes of each due tick.

    Args:
        due: What is due.
        going: Where runs are unfinished.
        decided: Where scheduled runs were launched, and up to which moment they stand for
            whatever was due. Ticks up to then are dealt with: neither launched nor skipped.
    """
    launch: list[DueTick] = []
    skip: list[DueTick] = []
    for each in due:
        place = (each.phase, each.slug)
        if place in decided and each.tick <= decided[place]:
            continue
        (skip if place in going else launch).append(each)
    return Sorted(launch, skip)


def phases_of(run: dg.DagsterRun) -> set[Phase]:
    """The phases that a run does; none, if it syncs no clinic."""
    if run.asset_selection is not None:
        names = {key.to_user_string() for key in run.asset_selection}
        return {phase for asset, phase in PHASE_OF_ASSET.items() if asset in names}
    if run.job_name in JOBS:
        return set(PHASES_OF[JOBS[run.job_name]])
    return set(PHASES) if run.job_name == ASSET_JOB else set()


def clinic_phases_of(run: dg.DagsterRun, order: Sequence[str]) -> set[ClinicPhase]:
    """Where a run works.

    Args:
        run: Any.
        order: Every clinic that has partitions, in the order of registration.
    """
    slugs = clinics_tagged(run.tags) or clinics_between(order, run.tags)
    return {(phase, slug) for phase in phases_of(run) for slug in slugs}


def active_clinic_phases(instance: DagsterInstance, order: Sequence[str]) -> set[ClinicPhase]:
    """Where runs are unfinished, whoever started them."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return {place for run in runs for place in clinic_phases_of(run, order)}


def decided_clinic_phases(
    instance: DagsterInstance, since: datetime, now: datetime, order: Sequence[str]
) -> dict[ClinicPhase, datetime]:
    """Where scheduled runs were decided on after ``since``, and when, finished or not."""
    found: dict[ClinicPhase, datetime] = {}
    for decided, run in _scheduled_runs(instance, since, now):
        for place in clinic_phases_of(run, order):
            found[place] = max(found.get(place, decided), decided)
    return found


def _scheduled_runs(
    instance: DagsterInstance, since: datetime, now: datetime
) -> Iterator[tuple[datetime, dg.DagsterRun]]:
    """The runs decided on after ``since``. Newest first, so that few are looked at.

    Not asked for by the time of their creation, which another clock tells.
    """
    cursor: str | None = None
    while True:
        page = instance.get_runs(
            filters=dg.RunsFilter(tags={ORIGIN_TAG: SCHEDULE_ORIGIN}), cursor=cursor, limit=_PAGE
        )
        later = [
            (decided, run)
            for run in page
            # One that is yet to come was noted by a clock that went wrong.
            if (decided := parse_timestamp(run.tags.get(DECIDED_TAG))) and since < decided <= now
        ]
        yield from later
        if len(page) < _PAGE or not later:
            return
        cursor = page[-1].run_id


def parse_timestamp(text: str | None) -> datetime | None:
    """The moment (aware) that a tag or a cursor tells, if it tells one."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def end_abandoned_runs(
    instance: DagsterInstance, engine: Engine, now: datetime, *, stuck_after: timedelta
) -> list[str]:
    """End the runs whose process died without saying so, or is stuck; gives their ids.

    Dagster notices that only of processes it started and still watches. A run that goes on
    for ever would keep its place in the queue, and its clinics from being synced.

    Only runs that sync clinics are looked at: these renew a lease while they are going (see
    ``store/database/leases.py``). One that does not, or has begun nothing yet, counts as active
    for as long as ``IDLE_LIMIT`` after it last moved. One that does, but has not moved for
    ``stuck_after`` and ``IDLE_LIMIT``, is terminated: a run's own time limit should have ended it.
    Audits are marked as interrupted before their run is, so that a process which wakes up after
    all writes nothing in the name of a failed run.
    """
    started = instance.get_run_records(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    )
    runs = {each.dagster_run.run_id: each for each in started if phases_of(each.dagster_run)}
    if not runs:
        return []
    with transaction(engine) as connection:
        signs = run_activities(connection, runs)
    dead: list[str] = []
    stuck: list[str] = []
    for run_id, record in runs.items():
        sign = signs.get(run_id)
        moved = sign.last_moved if sign else _start_of(record)
        is_held = sign is not None and sign.is_held
        if age_of(moved, now) >= (stuck_after + IDLE_LIMIT if is_held else IDLE_LIMIT):
            (stuck if is_held else dead).append(run_id)
    for run_id in stuck:
        _terminate(instance, run_id)
    ended = [*dead, *stuck]
    if ended:
        in_transaction(engine, lambda connection: interrupt_runs(connection, ended, now))
    for run_id in ended:
        instance.report_run_failed(
            runs[run_id].dagster_run,
            "it did not move for longer than a run may take, and was terminated"
            if run_id in stuck
            else "the process that did it ended before it was done",
        )
    return ended


def _terminate(instance: DagsterInstance, run_id: str) -> None:
    """Have a run's process end. One that Dagster did not launch, it cannot reach."""
    try:
        reached = instance.run_launcher.terminate(run_id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run is marked all the same
        log.warning("stuck_run_not_terminated", run_id=run_id, error=type(error).__name__)
    else:
        log.warning("stuck_run_terminated", run_id=run_id, reached=reached)


def _start_of(record: dg.RunRecord) -> datetime:
    if record.start_time is None:
        return record.create_timestamp
    return datetime.fromtimestamp(record.start_time, UTC)


def run_requests(
    instance: DagsterInstance,
    due: Iterable[DueTick],
    *,
    now: datetime,
    partition_start: date,
    clinics_per_run: int,
) -> list[dg.RunRequest]:
    """The fewest runs that do what is due, and nothing else.

    A run has one phase, one window, and clinics that are neighbours in the order of their
    registration.

    Args:
        instance: Knows the order; every clinic must have partitions.
        due: At most one tick of each clinic and phase.
        now: When it was decided.
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
    """The run that does this, of one phase, at clinics that are neighbours."""
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
    """The same for the same clinics and ticks, and for no others."""
    told = "\n".join(sorted(f"{each.slug} {each.tick.isoformat()}" for each in due))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _window(due: DueTick, now: datetime, partition_start: date) -> DateRange:
    """The business dates that the clinic's phase covers today, as far as they have partitions."""
    today = max(business_date(now, due.schedule.clinic.zone), partition_start)
    window = default_window(
        due.phase.names.scope, today, due.schedule.config, earliest=partition_start
    )
    last = last_syncable_date(now.astimezone(UTC).date())
    return DateRange(window.start, min(window.end, last))
