"""The client of Dagster's GraphQL: its queries, and every kind of response."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from uuid import UUID, uuid4

import pytest

from pims_pipeline.api import dagster_client as module
from pims_pipeline.api.dagster_client import (
    DagsterClient,
    DagsterRefused,
    DagsterUnreachable,
    NoResponse,
    RunState,
)
from pims_pipeline.api.monitoring.dagster_state import DagsterState
from pims_pipeline.api.syncs.runs import UNREACHABLE_PAUSE_SECONDS, RunCache
from pims_pipeline.dagster_names import SYNC_ID_TAG
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline_tests.api.support.fake_dagster import SECRET, FakeDagster, Mood
from pims_pipeline_tests.providers.stalling_server import dripping_body, stalling_server

WINDOW = DateRange(date(2026, 3, 9), date(2026, 3, 16))
SYNC_ID = UUID("7c1d0a52-5f0e-4f7e-9f43-0f2f7a3f6f10")


@pytest.fixture
def server() -> Iterator[FakeDagster]:
    with FakeDagster() as server:
        yield server


@pytest.fixture
def client(server: FakeDagster) -> Iterator[DagsterClient]:
    with closing(DagsterClient(server.url)) as client:
        yield client


@pytest.fixture
def one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search only once for a run whose launch got no response."""
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0.01)


def test_a_response_that_drips_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUERY_SECONDS", 0.3)
    with (
        stalling_server(dripping_body) as server,
        closing(DagsterClient(server.base_url)) as client,
        pytest.raises(
            NoResponse, match=r"RequestTimedOut\); see its log, or fix DAGSTER_GRAPHQL_URL"
        ),
    ):
        client.check()


def launch(client: DagsterClient) -> str:
    return client.launch(
        "cases",
        "maple-street",
        WINDOW,
        tags={SYNC_ID_TAG: str(SYNC_ID)},
        config={"ops": {"consultations": {"config": {"parallel_batch_size": 3}}}},
    )


def test_a_launch_runs_the_job_over_the_clinic_s_partitions(
    server: FakeDagster, client: DagsterClient
) -> None:
    assert launch(client) == server.run.id
    assert server.run.job == "case_sync"
    assert server.run.config["ops"]["consultations"]["config"] == {"parallel_batch_size": 3}
    assert server.partitions == {"maple-street"}
    assert server.run.tags == {
        "pims/sync_id": str(SYNC_ID),
        "dagster/asset_partition_range_start": "maple-street|2026-03-09",
        "dagster/asset_partition_range_end": "maple-street|2026-03-16",
    }


@pytest.mark.parametrize("mood", [Mood.BREAKS_AFTER, Mood.HANGS_UP])
def test_a_run_whose_launch_got_no_response_is_found_by_its_tag(
    server: FakeDagster, client: DagsterClient, mood: Mood
) -> None:
    server.mood = mood

    assert launch(client) == server.run.id


@pytest.mark.usefixtures("one_search")
@pytest.mark.parametrize("mood", [Mood.BREAKS, Mood.HANGS_UP_BEFORE, Mood.NOT_DAGSTER, Mood.NESTED])
def test_a_launch_without_response_or_run_has_an_unknown_outcome(
    server: FakeDagster, client: DagsterClient, mood: Mood
) -> None:
    server.mood = mood

    with pytest.raises(NoResponse) as raised:
        launch(client)
    assert SECRET not in str(raised.value)


def test_a_refusal_names_its_kind_and_quotes_nothing(
    server: FakeDagster, client: DagsterClient
) -> None:
    server.mood = Mood.REFUSES

    with pytest.raises(DagsterRefused) as raised:
        launch(client)
    assert "PipelineNotFoundError" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_without_a_server_no_run_was_started() -> None:
    with (
        closing(DagsterClient("http://vet:hunter2@127.0.0.1:9")) as client,
        pytest.raises(DagsterUnreachable) as raised,
    ):
        launch(client)
    assert not isinstance(raised.value, NoResponse)
    assert "hunter2" not in str(raised.value)


def test_an_address_that_is_not_dagster_s_is_reported(server: FakeDagster) -> None:
    with closing(DagsterClient(f"{server.url}/elsewhere")) as client, pytest.raises(NoResponse):
        client.check()


@pytest.mark.parametrize("ending", ["", "/", "/graphql"])
def test_the_address_may_be_that_of_the_ui_or_of_its_graphql(
    server: FakeDagster, ending: str
) -> None:
    with closing(DagsterClient(server.url + ending)) as client:
        client.check()

    assert server.queries == ["Check"]


def test_a_code_location_that_does_not_load_is_reported(
    server: FakeDagster, client: DagsterClient
) -> None:
    server.mood = Mood.REFUSES

    with pytest.raises(DagsterRefused, match="has not loaded the code location"):
        client.check()


def test_a_re_executed_run_does_not_replace_the_first(
    server: FakeDagster, client: DagsterClient
) -> None:
    first = server.make_run(**{SYNC_ID_TAG: str(SYNC_ID)})
    server.make_run(**{SYNC_ID_TAG: str(SYNC_ID)})

    assert client.run_of_sync(SYNC_ID) == first.id
    assert client.run_of_sync(uuid4()) is None


def test_every_status_of_dagster_is_mapped(server: FakeDagster, client: DagsterClient) -> None:
    statuses = {
        "NOT_STARTED": RunState.CREATED,
        "QUEUED": RunState.QUEUED,
        "STARTING": RunState.RUNNING,
        "STARTED": RunState.RUNNING,
        "CANCELING": RunState.RUNNING,
        "A_FUTURE_STATUS": RunState.RUNNING,
        "SUCCESS": RunState.SUCCEEDED,
        "FAILURE": RunState.FAILED,
        "CANCELED": RunState.CANCELED,
    }
    wanted = {"unknown": RunState.GONE}
    for status, state in statuses.items():
        run = server.make_run()
        run.status = status
        wanted[run.id] = state

    assert client.run_states(list(wanted)) == wanted


def test_waiting_and_running_runs_are_counted(server: FakeDagster, client: DagsterClient) -> None:
    for status in ("QUEUED", "NOT_STARTED", "STARTED", "STARTING", "CANCELING", "SUCCESS"):
        server.make_run().status = status

    assert client.state() == DagsterState(
        queued=2, running=3, daemon_seen_at=1_770_000_000.5, alerts_evaluated_at=1_770_000_030.0
    )
    server.location_is_loaded = False
    assert client.state().alerts_evaluated_at is None


def test_a_final_state_is_queried_once(server: FakeDagster, client: DagsterClient) -> None:
    cache = RunCache(client)
    ended, active = server.make_run(), server.make_run()
    ended.status, ended.failed_steps = "FAILURE", ("appointments_snapshot_complete",)
    wanted = {ended.id: RunState.FAILED, active.id: RunState.QUEUED}

    assert cache.states([ended.id, active.id]) == wanted
    server.queries.clear()
    assert cache.states([ended.id]) == {ended.id: RunState.FAILED}
    assert server.queries == []
    assert cache.states([ended.id, active.id]) == wanted
    assert server.queries == ["Find"]
    assert cache.failed_steps(ended.id) == ["appointments_snapshot_complete"]
    assert cache.failed_steps(ended.id) == ["appointments_snapshot_complete"]
    assert server.queries == ["Find", "Steps"]


def test_an_unreachable_dagster_is_not_queried_again_for_a_while(
    server: FakeDagster, client: DagsterClient
) -> None:
    now = 100.0
    cache = RunCache(client, clock=lambda: now)
    run = server.make_run()
    server.mood = Mood.NOT_DAGSTER

    assert cache.states([run.id]) == {}
    server.mood = Mood.WELL
    assert cache.states([run.id]) == {}
    assert cache.run_of_sync(SYNC_ID) is None
    assert server.queries == ["Find"]
    now += UNREACHABLE_PAUSE_SECONDS
    assert cache.states([run.id]) == {run.id: RunState.QUEUED}
