"""Every place that names phases has each phase of the table.

A phase that is added to ``domain/phases.py`` fails these tests until every place has it. The
places are in ``phase_places``.
"""

import json
import subprocess
import sys
from typing import get_args

import dagster as dg
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import Engine, text

from pims_pipeline.api.routes import syncs
from pims_pipeline.cli.commands.clinics.schedule import schedule
from pims_pipeline.cli.commands.sync import sync
from pims_pipeline.dagster_names import PHASE_TAG
from pims_pipeline.definitions import build_definitions
from pims_pipeline.domain.api_keys import PERMISSIONS
from pims_pipeline.domain.phases import (
    JOB_OF,
    PHASES,
    PHASES_OF,
    SCOPES,
    TYPE_OF,
    Phase,
    PhaseName,
    PhaseScope,
    ResultName,
    Scope,
    SyncType,
)
from pims_pipeline.domain.schedules import ScheduleConfig
from pims_pipeline.orchestration.assets.application_cases import APPLICATION_CASES
from pims_pipeline.orchestration.checks.phases import CHECKS
from pims_pipeline.settings import Settings
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.phases.phase_places import PLACES

EACH = [names.scope for names in PHASES.values()]
"""The scopes of single phases in requests of clients."""
ASSETS = {names.asset for names in PHASES.values()}


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build_definitions(Settings()).get_repository_def()


def test_every_scope_is_a_phase_or_all_of_them() -> None:
    assert list(PHASES) == list(Phase)
    assert list(SCOPES) == [*EACH, "full"]
    assert PHASES_OF["full"] == tuple(Phase)
    assert dict(TYPE_OF) == {names.scope: phase for phase, names in PHASES.items()} | {
        "full": "full"
    }


def test_the_literal_types_hold_the_names_of_the_table() -> None:
    assert get_args(PhaseName) == tuple(Phase)
    assert get_args(SyncType) == tuple(TYPE_OF.values())
    assert get_args(PhaseScope) == tuple(EACH)
    assert get_args(Scope) == SCOPES
    assert get_args(ResultName) == tuple(names.result for names in PHASES.values())


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_names_phases_has_each(place: str) -> None:
    assert PLACES[place].lacks() == []


WRITTEN_BY_HAND = {
    "assets": ["invoices"],
    "checks": ["billing"],
    "columns of the demo": ["billing"],
    "counts of the demo": ["billing"],
    "result of a full sync": ["billingResult"],
    "results": ["billing"],
    "routes": ["bill"],
}
"""What a new phase needs besides its row in the table; these tests name it until it is written.

A migration extends the database's constraints: see the last test.
"""


def test_a_phase_added_to_the_table_lacks_only_what_must_be_written_by_hand() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "pims_pipeline_tests.phases.one_more_phase"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert json.loads(printed.stdout) == WRITTEN_BY_HAND


def test_no_two_phases_share_a_name() -> None:
    for words in (
        EACH,
        [names.asset for names in PHASES.values()],
        [names.result for names in PHASES.values()],
        list(JOB_OF.values()),
    ):
        assert len(set(words)) == len(words)


def test_each_phase_has_an_asset_a_job_and_checks(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    for scope, job in JOB_OF.items():
        assets = {phase.names.asset for phase in PHASES_OF[scope]}
        found = repository.get_job(job)
        selected = {key.to_user_string() for key in found.asset_layer.executable_asset_keys}
        assert selected == assets | {APPLICATION_CASES}
        assert found.tags[PHASE_TAG] == TYPE_OF[scope]
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked >= ASSETS
    assert set(CHECKS) == set(Phase)


def test_each_phase_has_a_command_a_route_and_a_permission() -> None:
    assert set(sync.commands) == set(SCOPES)
    routes = {
        route.path.removeprefix("/api/sync/")
        for route in syncs.router.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }
    assert set(SCOPES) <= routes
    assert routes <= {*SCOPES, *Phase}
    assert set(PERMISSIONS) == {f"sync:{scope}" for scope in EACH} | {"read", "read:values"}


def test_each_phase_is_scheduled_and_audited(engine: Engine) -> None:
    crons = [each for each in schedule.params if getattr(each, "metavar", None) == "CRON"]
    assert [each.name for each in crons] == list(Phase)
    assert set(ScheduleConfig().sync_schedules) == set(Phase)
    with transaction(engine) as connection:
        rules = connection.scalars(
            text(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE contype = 'c' AND conrelid = 'case_sync_audits'::regclass "
                "AND conname LIKE '%sync_type'"
            )
        ).all()
    for phase in Phase:
        assert any(f"'{phase}'" in rule for rule in rules), phase
