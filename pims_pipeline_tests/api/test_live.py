"""The API with the real Dagster and the simulator, as ``pims up`` starts them.

One start for the whole module. Tests that do not need the real Dagster use ``FakeDagster``.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest

from pims_pipeline.api.dagster_client import DagsterClient, RunState
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.wire.results import FullResult
from pims_pipeline_tests.cli.processes import (
    TIMEOUT_SECONDS,
    command_line,
    interrupted,
    is_alive,
    output_until,
    own_home,
    started,
)
from pims_pipeline_tests.providers.stopping import eventually

CANCEL = """
mutation Cancel($run: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $run, terminatePolicy: $policy) { __typename }
}
"""


class Live(NamedTuple):
    """The running processes."""

    api: httpx2.Client
    dagster: DagsterClient
    dagster_ui: str
    vendor: str
    program: psutil.Process

    def fork_server(self) -> psutil.Process:
        """The process from which the code server forks runs."""
        [server] = [each for each in self.program.children() if "code_server" in words(each)]
        # The other child counts semaphores.
        [found] = [each for each in server.children() if "resource_tracker" not in words(each)]
        return found

    def state(self, run_id: str) -> RunState:
        """The state of a run."""
        return self.dagster.run_states([run_id])[run_id]

    def cancel(self, run_id: str, policy: str = "MARK_AS_CANCELED_IMMEDIATELY") -> None:
        with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            sent = {"query": CANCEL, "variables": {"run": run_id, "policy": policy}}
            client.post(f"{self.dagster_ui}/graphql", json=sent).raise_for_status()


def words(process: psutil.Process) -> str:
    """The command line of a process, as one text."""
    return " ".join(command_line(process))


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    pages_port, api_port = free_ports(2)
    pages, address = f"http://127.0.0.1:{pages_port}", f"http://127.0.0.1:{api_port}"
    ports = (f"--port={pages_port}", f"--api-port={api_port}")
    with own_home() as home, started(home, "up", "--demo", *ports) as process:
        body = output_until(process, "Ctrl-C stops everything.")
        found = re.search(r"X-API-Key: (\w+)", body)
        vendor = re.search(r"Simulated [^:]+: (\S+)", body)
        assert found is not None, body
        assert vendor is not None, body
        with (
            httpx2.Client(
                base_url=address,
                headers={"X-API-Key": found[1]},
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
            ) as api,
            closing(DagsterClient(pages)) as dagster,
        ):
            yield Live(api, dagster, pages, vendor[1], psutil.Process(process.pid))
        status, *_, alive = interrupted(process)
        assert (status, alive) == (0, [])


def test_a_post_starts_a_run_and_returns_its_result_also_when_repeated(live: Live) -> None:
    sent = {"Idempotency-Key": "morning", "Prefer": "wait=110"}
    body = {"lookbackDays": 1, "daysAhead": 1, "parallelBatchSize": 3}

    response = live.api.post("/api/sync/full", json=body, headers=sent)

    assert response.status_code == 200, response.text
    result: Any = response.json()
    FullResult.model_validate(result)
    assert result["success"], result
    assert result["inboundResult"]["syncId"] == result["syncId"]
    assert result["inboundResult"]["stats"]["casesCreated"] > 0
    again = live.api.post("/api/sync/full", json=body, headers=sent)
    assert (again.status_code, again.content) == (200, response.content)
    assert again.headers["Idempotent-Replayed"] == "true"

    body = live.api.get(f"/api/sync/{result['syncId']}").json()
    run_id = body["links"]["run"].removeprefix(f"{live.dagster_ui}/runs/")
    assert (body["status"], body["result"]) == ("completed", result)
    assert live.dagster.run_of_sync(UUID(result["syncId"])) == run_id
    assert live.dagster.run_states([run_id]) == {run_id: RunState.SUCCEEDED}
    assert live.dagster.failed_steps(run_id) == []


def is_idle(live: Live) -> bool:
    counted = live.dagster.state()
    return counted.queued + counted.running == 0 and not live.fork_server().children()


def canceled_before_its_work(live: Live) -> tuple[str, str]:
    """The path of a sync whose run was canceled while it was queued, and the run's id.

    On a busy machine a run can begin at the moment of its canceling, and then goes on.
    """
    for _ in range(5):
        response = live.api.post("/api/sync/inbound")
        assert response.status_code == 202, response.text
        links = response.json()["links"]
        run_id = links["run"].rpartition("/")[2]
        counted = live.dagster.state()
        live.cancel(run_id)
        assert counted.queued + counted.running >= 1
        assert counted.daemon_seen_at is not None
        eventually(lambda: is_idle(live), TIMEOUT_SECONDS)
        if live.state(run_id) is RunState.CANCELED:
            return links["self"], run_id
    raise AssertionError("each run began before it was canceled")


def test_a_run_that_is_canceled_before_its_work_has_failed(live: Live) -> None:
    path, run_id = canceled_before_its_work(live)

    body = live.api.get(path).json()

    assert live.dagster.run_states([run_id]) == {run_id: RunState.CANCELED}
    assert (body["status"], body["error"]) == ("failed", "the run was canceled")


class Stalled(NamedTuple):
    """A sync whose request to the vendor does not end."""

    path: str
    run_id: str
    process: psutil.Process


@contextmanager
def stalled_sync(live: Live) -> Iterator[Stalled]:
    """Start a sync that stalls as long as the block runs."""
    with closing(SimulatorControl(live.vendor)) as control:
        before = control.stats().requests.get("listing", 0)
        control.add_fault("drip", endpoint="listing", company_id="1001", times=None)
        response = live.api.post("/api/sync/inbound", json={"daysAhead": 30})
        assert response.status_code == 202, response.text
        links = response.json()["links"]
        eventually(lambda: control.stats().requests.get("listing", 0) > before, TIMEOUT_SECONDS)
        [process] = live.fork_server().children()
        yield Stalled(links["self"], links["run"].rpartition("/")[2], process)
        control.clear_faults()


def test_a_run_that_is_terminated_in_the_ui_ends_during_a_request(live: Live) -> None:
    with stalled_sync(live) as sync:
        live.cancel(sync.run_id, "SAFE_TERMINATE")
        eventually(lambda: live.state(sync.run_id).is_final, TIMEOUT_SECONDS)

    body = live.api.get(sync.path).json()
    assert live.state(sync.run_id) is RunState.CANCELED
    assert (body["status"], body["error"]) == (
        "failed",
        "it was stopped; the next sync does what was left",
    )


def test_a_run_whose_process_is_killed_has_failed(live: Live) -> None:
    with stalled_sync(live) as sync:
        sync.process.kill()
        eventually(lambda: live.state(sync.run_id).is_final, TIMEOUT_SECONDS)

    assert live.state(sync.run_id) is RunState.FAILED


def test_without_the_fork_server_runs_go_on_can_be_terminated_and_start(live: Live) -> None:
    with stalled_sync(live) as sync:
        killed = live.fork_server()
        killed.kill()
        eventually(lambda: not is_alive(killed), TIMEOUT_SECONDS)
        assert is_alive(sync.process)
        live.cancel(sync.run_id, "SAFE_TERMINATE")
        eventually(lambda: live.state(sync.run_id).is_final, TIMEOUT_SECONDS)
    response = live.api.post("/api/sync/inbound", headers={"Prefer": "wait=110"})

    assert live.state(sync.run_id) is RunState.CANCELED
    assert (response.status_code, response.json()["success"]) == (200, True)
    assert live.fork_server().pid != killed.pid


def test_the_real_dagster_responds_to_all_other_queries(live: Live) -> None:
    live.dagster.check()
    unknown = str(uuid4())

    assert live.dagster.run_states([unknown]) == {unknown: RunState.GONE}
    assert live.dagster.run_of_sync(UUID(unknown)) is None
    assert live.dagster.failed_steps(unknown) == []
