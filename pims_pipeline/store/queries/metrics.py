"""What `/metrics` shows of all clinics, as the API's role may read it: slugs, counts, ages.

Each query calls a function of the database that only that role may call (migration 0012): its own
rights reach one clinic at a time. Names and labels are in ``observability/metrics.py``.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.outcome import AuditStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.metrics import ClinicReading

ENDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        phase.value: tuple(
            status.value
            for status in AuditStatus
            if status is not AuditStatus.IN_PROGRESS
            and (status is not AuditStatus.HELD or phase is Phase.RECONCILIATION)
        )
        for phase in Phase
    }
)
"""The statuses with which each phase can end."""

_OVERLAP = timedelta(minutes=10)
"""How much later than its ``updated_at`` an audit's end may become visible: transactions commit
late, and the hosts that write have clocks of their own."""


@dataclass(frozen=True, slots=True)
class EndedSync:
    """A phase over one window that ended; ``seconds`` are None if it was interrupted."""

    slug: str
    phase: Phase
    status: AuditStatus
    seconds: float | None


class EndedSyncs:
    """The syncs that end from some time on, each returned once. Not thread-safe."""

    def __init__(self, since: datetime) -> None:
        """Those that ended before ``since`` (aware) are never returned."""
        self._since = since
        self._given: dict[UUID, datetime] = {}

    def new(self, connection: Connection, now: datetime) -> list[EndedSync]:
        """Those not returned yet, as of ``now`` (aware).

        Reads no further back than ten minutes before the newest end of the last call.
        """
        rows = connection.execute(
            text("SELECT * FROM pims_metrics_syncs(:since)"), {"since": self._since}
        ).all()
        new = [
            EndedSync(
                slug=row.slug,
                phase=Phase(row.sync_type),
                status=AuditStatus(row.status),
                seconds=None if row.duration_ms is None else row.duration_ms / 1000,
            )
            for row in rows
            if row.id not in self._given
        ]
        # Neither an idle time nor a clock that is ahead may move this past ends still to come.
        newest = max((row.updated_at for row in rows), default=self._since)
        self._since = max(self._since, min(newest, now) - _OVERLAP)
        self._given = {row.id: row.updated_at for row in rows if row.updated_at >= self._since}
        return new


def clinic_readings(connection: Connection) -> list[ClinicReading]:
    """The status of the active clinics, by slug."""
    ages: defaultdict[str, dict[str, float]] = defaultdict(dict)
    skipped: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(text("SELECT * FROM pims_metrics_phases()")):
        skipped[row.slug][row.sync_type] = row.ticks_skipped
        if row.last_success_age is not None:
            # The clock that wrote it may be ahead of the database's.
            ages[row.slug][row.sync_type] = max(0.0, row.last_success_age)
    return [
        ClinicReading(
            slug=row.slug,
            last_success_age=ages[row.slug],
            open_holds=row.open_holds,
            open_failures=row.open_failures,
            session_is_valid=row.session_is_valid,
            ticks_skipped=skipped[row.slug],
        )
        for row in connection.execute(text("SELECT * FROM pims_metrics_clinics()"))
    ]


def adoption_differences(connection: Connection) -> dict[str, int]:
    """By slug how many differences an adopted clinic had on the last day that compared it."""
    found = connection.execute(text("SELECT slug, differences FROM pims_metrics_adoptions()"))
    return {row.slug: row.differences for row in found}


def open_alerts(connection: Connection) -> dict[str, int]:
    """How many alerts of each kind have not ended, over all clinics."""
    found = connection.execute(text("SELECT kind, open FROM pims_metrics_alerts()"))
    return {**{kind.value: 0 for kind in AlertKind}, **{row.kind: row.open for row in found}}
