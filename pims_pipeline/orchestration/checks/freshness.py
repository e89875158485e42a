"""Freshness: which clinics' phases are late, shown as a check on each phase's asset.

Dagster's own freshness policies look at an asset as a whole, or at its partitions by their
dates; here every clinic is due by a schedule of its own, in its own time zone, for dates that
move along. When a phase counts as late is decided in ``pims_pipeline.scheduling.lateness``.

The checks can be run by hand. By itself a sensor evaluates them, without a run: a run costs
seconds, the evaluation a statement.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.dagster_names import fresh_check
from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.phases import PHASES, Phase
from pims_pipeline.orchestration.assets.catalog import RUNBOOK, documents, what_to_do
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.scheduling.lateness import ScheduleStatus, schedule_status
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import PhaseState, phase_states
from pims_pipeline.store.schedules import active_schedules

FRESH_CHECKS: Mapping[Phase, dg.AssetCheckKey] = {
    phase: dg.AssetCheckKey(dg.AssetKey(names.asset), fresh_check(phase))
    for phase, names in PHASES.items()
}

LOOK_SECONDS = 120
"""How often the sensor looks; it tells what changed."""

TELL_EVERY = timedelta(minutes=15)
"""How old the pages' picture may become while nothing changes."""

MAX_LISTED = 100

_HEADING = "Late clinics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A phase of a clinic that is late, or of which nobody can tell, for want of a schedule."""

    clinic: str
    state: PhaseState
    schedule_status: ScheduleStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How a phase stands over all active clinics.

    Attributes:
        clinics: How many there are.
        late: By slug.
    """

    phase: Phase
    clinics: int
    late: Sequence[Late]

    @property
    def slugs(self) -> list[str]:
        """The clinics that are late."""
        return [each.clinic for each in self.late]


def freshness(engine: Engine, now: datetime) -> list[Freshness]:
    """How each phase stands at ``now`` (aware)."""
    with transaction(engine) as connection:
        schedules = active_schedules(connection)
        states = phase_states(connection, now)
    found: dict[Phase, list[Late]] = {phase: [] for phase in Phase}
    for schedule in schedules:
        for phase, late in found.items():
            state = states[schedule.clinic.id, phase]
            stands = schedule_status(schedule, phase, state.last.last_completed_or_held, now)
            if stands.is_late or stands.schedule is ScheduleState.MALFORMED:
                late.append(Late(clinic=schedule.clinic.slug, state=state, schedule_status=stands))
    return [
        Freshness(phase=phase, clinics=len(schedules), late=late) for phase, late in found.items()
    ]


def metadata_of(fresh: Freshness, now: datetime) -> dict[str, dg.MetadataValue]:
    """What a check shows: numbers, and the late clinics as a table."""
    rows = [
        {
            "clinic": each.clinic,
            "last success": _moment(each.state.last.last_success),
            "age": _age(each.state.last.last_success, now),
            "last completed or held": _moment(each.state.last.last_completed_or_held),
            "next due": _due(each.schedule_status),
        }
        for each in fresh.late[:MAX_LISTED]
    ]
    return {
        "clinics": dg.MetadataValue.int(fresh.clinics),
        "late": dg.MetadataValue.int(len(fresh.late)),
        **({"late_clinics": table(rows)} if rows else {}),
    }


def _due(stands: ScheduleStatus) -> str:
    if stands.schedule is ScheduleState.MALFORMED:
        return "its schedule cannot be read"
    return _moment(stands.next_due)


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "never"


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    return str(timedelta(minutes=max(0, int((now - moment) / timedelta(minutes=1)))))


def build_freshness_checks(
    clock: Callable[[], datetime] = utc_now,
) -> list[dg.AssetChecksDefinition]:
    """One check for each phase's asset; it warns and blocks nothing."""
    return [_check(phase, clock) for phase in Phase]


def _check(phase: Phase, clock: Callable[[], datetime]) -> dg.AssetChecksDefinition:
    key = FRESH_CHECKS[phase]

    @dg.asset_check(
        asset=key.asset_key,
        name=key.name,
        description=(
            "Every active clinic's phase was completed or held within two ticks of its schedule. "
            f"{what_to_do(_HEADING)}"
        ),
        metadata=documents(f"{RUNBOOK}#late-clinics"),
    )
    def check(store: dg.ResourceParam[Engine]) -> dg.AssetCheckResult:
        now = clock()
        (fresh,) = (each for each in freshness(store, now) if each.phase is phase)
        return dg.AssetCheckResult(
            passed=not fresh.late,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata_of(fresh, now),
        )

    return check


@dataclass(frozen=True, slots=True)
class FreshnessReport:
    """What the pages were last told, and when; the sensor's cursor."""

    at: datetime
    late: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, cursor: str | None) -> "FreshnessReport | None":
        """What ``text`` wrote; None for anything else."""
        try:
            found = json.loads(cursor or "")
            return cls(datetime.fromisoformat(found["at"]), dict(found["late"]))
        except (ValueError, TypeError, KeyError):
            return None

    def text(self) -> str:
        """As a cursor."""
        return json.dumps({"at": self.at.isoformat(), "late": self.late})

    def is_news_after(self, before: "FreshnessReport | None") -> bool:
        """Whether the pages have to be told, after they were told that before."""
        if before is None or before.late != self.late:
            return True
        # A clock that was put back must not silence it.
        return not before.at <= self.at < before.at + TELL_EVERY


def build_freshness_sensor(clock: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """The sensor that evaluates the checks; ``clock`` gives the present moment, aware."""

    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells each phase's asset which clinics are late by their own schedules: as soon as "
            "that changes, and every quarter of an hour. Starts no runs."
        ),
    )
    def look(
        context: dg.SensorEvaluationContext, store: dg.ResourceParam[Engine]
    ) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        found = freshness(store, now)
        told = FreshnessReport(now, {each.phase.value: each.slugs for each in found})
        if not told.is_news_after(FreshnessReport.read(context.cursor)):
            return dg.SkipReason("nothing changed since the pages were told")
        return dg.SensorResult(
            asset_events=[_evaluation(each, now) for each in found],
            skip_reason=f"told the pages; {sum(len(each.late) for each in found)} late",
            cursor=told.text(),
        )

    return look


def _evaluation(fresh: Freshness, now: datetime) -> dg.AssetCheckEvaluation:
    key = FRESH_CHECKS[fresh.phase]
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not fresh.late,
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
        metadata=metadata_of(fresh, now),
    )
