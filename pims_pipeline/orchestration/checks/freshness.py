"""The freshness checks: which clinics' phases are late, one check on each phase's asset.

Dagster's freshness policies are for a whole asset, or for its partitions by date. Here each clinic
has its own schedule, time zone and window. ``pims_pipeline.scheduling.lateness`` decides when a
phase is late.

The sensor of ``sensors.freshness`` evaluates the checks; an operator can also run them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.dagster_names import fresh_check
from pims_pipeline.domain.alerts import ScheduleState
from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.domain.phases import PHASES, Phase
from pims_pipeline.orchestration.assets.catalog import RUNBOOK, documents, what_to_do
from pims_pipeline.orchestration.assets.materializations import table
from pims_pipeline.orchestration.checks.links import clinic_links
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.scheduling.lateness import ScheduleStatus, schedule_status
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.clinic_status import PhaseState, phase_states
from pims_pipeline.store.schedules import active_schedules

FRESH_CHECKS: Mapping[Phase, dg.AssetCheckKey] = {
    phase: dg.AssetCheckKey(dg.AssetKey(names.asset), fresh_check(phase))
    for phase, names in PHASES.items()
}

MAX_LISTED = 100
"""How many late clinics a check lists; it counts them all."""

_HEADING = "Late clinics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A phase of a clinic that is late, or whose schedule cannot be read."""

    clinic: str
    state: PhaseState
    schedule_status: ScheduleStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Which of the active clinics are late with a phase.

    Attributes:
        clinics: How many clinics are active.
        late: The late clinics, by slug.
    """

    phase: Phase
    clinics: int
    late: Sequence[Late]

    @property
    def slugs(self) -> list[str]:
        """The slugs of the late clinics."""
        return [each.clinic for each in self.late]


def freshness(engine: Engine, now: datetime) -> list[Freshness]:
    """Return the freshness of each phase at ``now`` (aware)."""
    with transaction(engine) as connection:
        schedules = active_schedules(connection)
        states = phase_states(connection, now)
    found: dict[Phase, list[Late]] = {phase: [] for phase in Phase}
    for schedule in schedules:
        for phase, late in found.items():
            state = states[schedule.clinic.id, phase]
            status = schedule_status(schedule, phase, state.last.last_completed_or_held, now)
            if status.is_late or status.schedule is ScheduleState.MALFORMED:
                late.append(Late(clinic=schedule.clinic.slug, state=state, schedule_status=status))
    return [
        Freshness(phase=phase, clinics=len(schedules), late=late) for phase, late in found.items()
    ]


def metadata_of(
    fresh: Freshness, now: datetime, console: ConsoleLinks
) -> dict[str, dg.MetadataValue]:
    """Return a check's metadata: numbers, and the late clinics as a table and as links."""
    rows = [
        {
            "clinic": each.clinic,
            "last success": _utc(each.state.last.last_success),
            "age": _age(each.state.last.last_success, now),
            "last completed or held": _utc(each.state.last.last_completed_or_held),
            "next due": _due(each.schedule_status),
        }
        for each in fresh.late[:MAX_LISTED]
    ]
    metadata: dict[str, dg.MetadataValue] = {
        "clinics": dg.MetadataValue.int(fresh.clinics),
        "late": dg.MetadataValue.int(len(fresh.late)),
    }
    if rows:
        metadata["late_clinics"] = table(rows)
        metadata["console"] = clinic_links(fresh.slugs, console)
    return metadata


def _due(status: ScheduleStatus) -> str:
    if status.schedule is ScheduleState.MALFORMED:
        return "its schedule cannot be read"
    return _utc(status.next_due)


def _utc(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else "never"


def _age(time: datetime | None, now: datetime) -> str:
    if time is None:
        return ""
    return str(timedelta(minutes=max(0, int((now - time) / timedelta(minutes=1)))))


def build_freshness_checks(
    clock: Callable[[], datetime] = utc_now,
) -> list[dg.AssetChecksDefinition]:
    """Return one check for each phase's asset. It only warns."""
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
    def check(
        store: dg.ResourceParam[Engine], rules: dg.ResourceParam[Rules]
    ) -> dg.AssetCheckResult:
        now = clock()
        (fresh,) = (each for each in freshness(store, now) if each.phase is phase)
        return dg.AssetCheckResult(
            passed=not fresh.late,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata_of(fresh, now, rules.console),
        )

    return check
