"""The sensor ``freshness``: evaluates the checks of ``checks.freshness`` without a run.

A run costs seconds; this costs a few statements.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.domain.console.links import ConsoleLinks
from pims_pipeline.orchestration.checks.freshness import (
    FRESH_CHECKS,
    Freshness,
    freshness,
    metadata_of,
)
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.database.clock import utc_now

INTERVAL_SECONDS = 120
"""How often the sensor is evaluated; it reports changes."""

REPORT_EVERY = timedelta(minutes=15)
"""How often the sensor reports while nothing changes."""


@dataclass(frozen=True, slots=True)
class FreshnessReport:
    """The late clinics last reported to the Dagster UI, and when; the sensor's cursor."""

    at: datetime
    late: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, cursor: str | None) -> "FreshnessReport | None":
        """Parse a cursor that ``text`` wrote; None for any other text."""
        try:
            found = json.loads(cursor or "")
            return cls(datetime.fromisoformat(found["at"]), dict(found["late"]))
        except (ValueError, TypeError, KeyError):
            return None

    def text(self) -> str:
        """Return the report as a cursor."""
        return json.dumps({"at": self.at.isoformat(), "late": self.late})

    def is_news_after(self, before: "FreshnessReport | None") -> bool:
        """Whether this report has to follow ``before``: it differs, or ``before`` is old."""
        if before is None or before.late != self.late:
            return True
        # A clock that was put back must not stop the reports.
        return not before.at <= self.at < before.at + REPORT_EVERY


def build_freshness_sensor(clock: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Return the sensor; ``clock`` returns the present time, aware."""

    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reports on each phase's asset which clinics are late by their own schedules: when "
            "that changes, and every 15 minutes. Launches no runs."
        ),
    )
    def report(
        context: dg.SensorEvaluationContext,
        store: dg.ResourceParam[Engine],
        rules: dg.ResourceParam[Rules],
    ) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        found = freshness(store, now)
        report = FreshnessReport(now, {each.phase.value: each.slugs for each in found})
        if not report.is_news_after(FreshnessReport.read(context.cursor)):
            return dg.SkipReason("nothing changed since the last report")
        return dg.SensorResult(
            asset_events=[_evaluation(each, now, rules.console) for each in found],
            skip_reason=f"reported {sum(len(each.late) for each in found)} late",
            cursor=report.text(),
        )

    return report


def _evaluation(fresh: Freshness, now: datetime, console: ConsoleLinks) -> dg.AssetCheckEvaluation:
    key = FRESH_CHECKS[fresh.phase]
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not fresh.late,
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
        metadata=metadata_of(fresh, now, console),
    )
