"""The console starts runs through Dagster's webserver, and reports on them as the API does."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from pims_pipeline.api import dagster_client as module
from pims_pipeline.api.dagster_client import DagsterClient
from pims_pipeline.cli.console_runs import ConsoleRuns
from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.queries.syncs import StoredSync
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, Mood

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
WINDOW = DateRange(date(2026, 3, 9), date(2026, 3, 11))
APPROVAL = {"ops": {"reconciliation": {"config": {"approve_hold": "1", "approved_by": "ann"}}}}


@pytest.fixture
def dagster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDagster]:
    """Dagster's webserver; a run whose launch got no response is searched for once."""
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0)
    with FakeDagster() as fake:
        yield fake


@pytest.fixture
def runs(dagster: FakeDagster) -> Iterator[ConsoleRuns]:
    """Starts runs there."""
    with closing(DagsterClient(dagster.url)) as client:
        yield ConsoleRuns(client)


def test_a_run_is_started_over_the_window_and_watched_to_its_end(
    dagster: FakeDagster, runs: ConsoleRuns
) -> None:
    sync_id = uuid4()
    assert runs.run_of_sync(sync_id) is None

    run_id = runs.launch(
        "reconcile", "maple-street", WINDOW, tags={SYNC_ID_TAG: str(sync_id)}, config=APPROVAL
    )

    run = dagster.run
    assert (run.id, run.job, run.config) == (run_id, "reconciliation_sync", APPROVAL)
    assert run.tags["dagster/asset_partition_range_start"] == "maple-street|2026-03-09"
    assert run.tags["dagster/asset_partition_range_end"] == "maple-street|2026-03-11"
    assert runs.run_of_sync(sync_id) == run_id
    sync = StoredSync(
        id=sync_id,
        scope="reconcile",
        window=WINDOW,
        is_request=True,
        run_id=run_id,
        created_at=NOW,
        audits=(),
    )
    waiting = runs.stage(sync, NOW)
    run.status, run.failed_steps = "FAILURE", ("reconciliation",)
    ended = runs.stage(sync, NOW)
    assert (waiting.status, waiting.has_ended) == ("queued", False)
    assert (ended.status, ended.has_ended) == ("failed", True)
    assert "the run failed at reconciliation" in (ended.error or "")


def test_a_run_that_is_not_started_says_why(dagster: FakeDagster, runs: ConsoleRuns) -> None:
    dagster.mood = Mood.REFUSES

    with pytest.raises(UserFacingError, match="Dagster did not start the run"):
        runs.launch("full", "maple-street", WINDOW, tags={SYNC_ID_TAG: str(uuid4())}, config={})
