"""Every place that names the phases: the names that it has, and those that the table requires.

``test_phases`` checks each place, as it is and with one more phase in the table
(``one_more_phase``). Add a place here when code names phases.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import click
import dagster as dg
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import CheckConstraint, Table

from pims_pipeline.alerting import messages
from pims_pipeline.api.routes import syncs
from pims_pipeline.cli.commands.clinics.schedule import schedule
from pims_pipeline.cli.commands.sync import sync
from pims_pipeline.cli.demo import display as demo_display
from pims_pipeline.dagster_names import PHASE_TAG, fresh_check
from pims_pipeline.domain.alerts import AlertKind
from pims_pipeline.domain.api_keys import PERMISSIONS
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import JOB_OF, PHASES, SCOPES, TYPE_OF, Phase
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.assets.phases import build_assets
from pims_pipeline.orchestration.checks.freshness import FRESH_CHECKS
from pims_pipeline.orchestration.checks.phases import CHECKS
from pims_pipeline.orchestration.jobs import build_jobs
from pims_pipeline.orchestration.partitions import clinic_days
from pims_pipeline.orchestration.run_scope import phases_of
from pims_pipeline.store.tables.syncs import case_sync_audits, sync_failures, sync_requests
from pims_pipeline.sync import results
from pims_pipeline.wire.results import phase_result

DAY = date(2026, 3, 9)
AUDITED = tuple(Phase)
"""The phases by their name in audits."""
ASSETS = [names.asset for names in PHASES.values()]


class Place(NamedTuple):
    """The names that a place has, and those that it must have by the table."""

    has: Callable[[], Iterable[object]]
    wants: Collection[object]

    def lacks(self) -> list[str]:
        """The missing names."""
        return sorted({str(each) for each in self.wants} - {str(each) for each in self.has()})


def _document() -> dict[str, Any]:
    """The OpenAPI document of the routes of syncs."""
    app = FastAPI()
    app.include_router(syncs.router)
    return app.openapi()


def _model(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _document()["components"]["schemas"][name]["properties"]
    return found


def _posted() -> list[str]:
    paths = _document()["paths"].items()
    return [path.removeprefix("/api/sync/") for path, methods in paths if "post" in methods]


def _not_ids() -> list[str]:
    """The words that ``GET /api/sync/{syncId}`` does not accept as an id."""
    return [
        route.path.removeprefix("/api/sync/")
        for route in syncs.router.routes
        if isinstance(route, APIRoute) and not route.include_in_schema
    ]


def _allowed(table: Table, column: str, words: Iterable[str]) -> list[str]:
    """The words that the table's constraint allows in the column."""
    (rule,) = (
        str(each.sqltext)
        for each in table.constraints
        if isinstance(each, CheckConstraint) and str(each.sqltext).startswith(f"{column} IN ")
    )
    return [word for word in words if f"'{word}'" in rule]


def _assets() -> list[str]:
    built = build_assets(clinic_days(DAY))
    return [each.key.to_user_string() for each in built if isinstance(each, dg.AssetsDefinition)]


def _recognized() -> set[Phase]:
    """The phases of a run of assets that an operator selected."""
    selection = {dg.AssetKey(asset) for asset in ASSETS}
    return phases_of(dg.DagsterRun(job_name="any", asset_selection=selection))


def _with_result() -> list[Phase]:
    """The phases whose counts a result can hold."""
    found = []
    for phase in Phase:
        try:
            done = results.phase_result(phase, [], DateRange(DAY, DAY), now=datetime.now(UTC))
            phase_result(done)
        except KeyError:
            continue
        found.append(phase)
    return found


PLACES: Mapping[str, Place] = {
    "constraint of audits": Place(lambda: _allowed(case_sync_audits, "sync_type", Phase), AUDITED),
    "constraint of failures": Place(lambda: _allowed(sync_failures, "phase", Phase), AUDITED),
    "constraint of requests": Place(lambda: _allowed(sync_requests, "scope", SCOPES), SCOPES),
    "default schedules": Place(lambda: ScheduleConfig().sync_schedules, AUDITED),
    "assets": Place(_assets, ASSETS),
    "assets of a run": Place(_recognized, AUDITED),
    "checks": Place(lambda: CHECKS, AUDITED),
    "checks of freshness": Place(
        lambda: (key.name for key in FRESH_CHECKS.values()), [fresh_check(phase) for phase in Phase]
    ),
    "jobs": Place(lambda: (job.name for job in build_jobs(60)), JOB_OF.values()),
    "tags of jobs": Place(
        lambda: ((job.tags or {})[PHASE_TAG] for job in build_jobs(60)), TYPE_OF.values()
    ),
    "permissions": Place(lambda: PERMISSIONS, [f"sync:{each.names.scope}" for each in Phase]),
    "commands": Place(lambda: sync.commands, SCOPES),
    "options of pims clinics schedule": Place(
        lambda: (each.name for each in schedule.params if isinstance(each, click.Option)), AUDITED
    ),
    "columns of the demo": Place(lambda: demo_display.PHASE_WORDS, AUDITED),
    "counts of the demo": Place(lambda: demo_display.SHOWN_COUNTS, AUDITED),
    "routes": Place(_posted, SCOPES),
    "words that are no id": Place(_not_ids, SCOPES),
    "syncType of the API": Place(
        lambda: _model("SyncStatus")["syncType"]["enum"], TYPE_OF.values()
    ),
    "phase of the API": Place(lambda: _model("Progress")["phase"]["enum"], AUDITED),
    "results": Place(_with_result, AUDITED),
    "result of a full sync": Place(
        lambda: _model("FullResult"), [names.result for names in PHASES.values()]
    ),
    "links of alerts": Place(lambda: messages.CHECKS[AlertKind.OVERDUE], AUDITED),
}


def lacking() -> dict[str, list[str]]:
    """The missing names, by place."""
    return {place: words for place, each in PLACES.items() if (words := each.lacks())}
