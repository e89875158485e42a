"""``pims up`` as a process: what it serves, and that nothing is left when it ends."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest

from pims_pipeline.cli.demo.clinics import DEMO_SLUGS
from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.up.services import Service
from pims_pipeline_tests.cli.invocation import Pims, error_line
from pims_pipeline_tests.cli.processes import (
    TIMEOUT_SECONDS,
    command_line,
    database_runs,
    descendants,
    environment,
    interrupted,
    is_alive,
    output_until,
    own_home,
    started,
    until,
)

SURFACE = """
{
  assetNodes { assetKey { path } isPartitioned isMaterializable }
  assetNodeOrError(assetKey: {path: ["appointments"]}) {
    ... on AssetNode { partitionKeysByDimension { name partitionKeys } }
  }
  repositoriesOrError {
    ... on RepositoryConnection { nodes { location { name } jobs { name } } }
  }
}
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for the commands of this module."""
    with own_home() as home:
        yield home


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    return free


@pytest.fixture
def port() -> int:
    """A port for the Dagster UI."""
    return free_port()


@pytest.fixture
def api_port() -> int:
    """A port for the API."""
    return free_port()


def graphql(port: int, query: str) -> Any:
    """The data of a response of Dagster's GraphQL API."""
    with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        response = client.post(f"http://127.0.0.1:{port}/graphql", json={"query": query})
    return response.raise_for_status().json()["data"]


def api_responses(port: int, output: str) -> tuple[Any, Any]:
    """The API's list of syncs with the printed key, and its readiness."""
    found = re.search(
        r"curl -X POST -H 'X-API-Key: (\w+)' .* (http://\S+)/api/sync/inbound", output
    )
    assert found is not None
    assert found[2] == f"http://127.0.0.1:{port}"
    with httpx2.Client(base_url=found[2], trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        syncs = client.get("/api/sync", headers={"X-API-Key": found[1]})
        return syncs.json(), client.get("/ready").json()


def service(parent: Any, name: str) -> psutil.Process:
    """The child whose command line contains the name."""
    children = psutil.Process(parent.pid).children()
    return next(each for each in children if name in " ".join(command_line(each)))


LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  versionKey locationOrLoadError { __typename }
} } } }
"""


def code_location(port: int) -> tuple[str, str]:
    """The version of the code server that the Dagster UI uses, and how loading it ended."""
    [entry] = graphql(port, LOCATIONS)["workspaceOrError"]["locationEntries"]
    return entry["versionKey"], entry["locationOrLoadError"]["__typename"]


def restart_code_server(process: "subprocess.Popen[str]", port: int) -> None:
    """Kill the code server, and wait until the Dagster UI has found another one."""
    before, _ = code_location(port)
    service(process, "code.sock").kill()

    def is_another_one() -> bool:
        version, loaded = code_location(port)
        return version != before and loaded == "RepositoryLocation"

    until(is_another_one, process)


def test_everything_is_up_until_ctrl_c_and_a_code_server_that_dies_is_restarted(
    home: Path, port: int, api_port: int
) -> None:
    with started(home, "up", "--demo", f"--port={port}", f"--api-port={api_port}") as process:
        out = output_until(process, "Ctrl-C stops everything.")
        surface = graphql(port, SURFACE)
        syncs, ready = api_responses(api_port, out)
        dagster = service(process, "dagster_process")
        secrets = [word for each in descendants(process) for word in command_line(each)]
        restart_code_server(process, port)
        status, _, err, alive = interrupted(process)

    [location] = surface["repositoriesOrError"]["nodes"]
    assets = {
        each["assetKey"]["path"][0] for each in surface["assetNodes"] if each["isMaterializable"]
    }
    dimensions = {
        each["name"]: each["partitionKeys"]
        for each in surface["assetNodeOrError"]["partitionKeysByDimension"]
    }
    assert location["location"]["name"] == "pims_pipeline"
    assert "full_sync" in {job["name"] for job in location["jobs"]}
    assert assets == {
        "appointments",
        "consultations",
        "reconciliation",
        "application_cases",
        "maintenance",
        "daily_report",
    }
    assert set(dimensions["clinic"]) == set(DEMO_SLUGS.values())
    assert not any("postgresql" in word for word in secrets)
    assert syncs["success"] is True
    assert {name: check["status"] for name, check in ready["checks"].items()} == {
        "database": "ok",
        "migrations": "ok",
        "dagster": "ok",
    }
    assert (status, alive) == (0, [])
    assert not is_alive(dagster)
    assert not database_runs(home)
    for text in (f"http://127.0.0.1:{port}", "company id 1002", "dagster.log"):
        assert text in out
    assert err.endswith("Stopped.\n")
    log = home / "logs" / "dagster-code-server.log"
    assert f"dagster-code-server ended by itself (status -9); restarting it. Its log is {log}" in (
        err.splitlines()
    )
    assert log.read_text().count("Started Dagster code server") == 2


def test_when_one_process_dies_the_others_are_stopped_and_its_log_is_shown(
    home: Path, port: int, api_port: int
) -> None:
    with started(home, "up", f"--port={port}", f"--api-port={api_port}") as process:
        output_until(process, "Ctrl-C stops everything.")
        family = descendants(process)
        service(process, "dagster_process").kill()
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)

    log = home / "logs" / "dagster.log"
    lines = err.splitlines()
    assert process.returncode == 1
    assert lines[-1].startswith("Error: dagster ended by itself (status -9)")
    assert lines[-1].endswith(str(log))
    assert "Instance is configured with the following daemons" in err
    assert [each for each in family if is_alive(each)] == []
    assert not database_runs(home)


def test_nothing_is_left_when_pims_up_is_killed(home: Path, port: int, api_port: int) -> None:
    with started(home, "up", "--demo", f"--port={port}", f"--api-port={api_port}") as process:
        output_until(process, "Ctrl-C stops everything.")
        # The database stops with its last user: here the code server, once it evaluated a sensor.
        users, code_server = home / "postgres" / ".handle_pids.json", service(process, "code.sock")
        until(lambda: str(code_server.pid) in users.read_text(), process)
        family = descendants(process)
        process.kill()
        process.wait(TIMEOUT_SECONDS)
        _, left = psutil.wait_procs(family, timeout=TIMEOUT_SECONDS)

    assert len(family) >= 4
    assert [each for each in left if is_alive(each)] == []
    assert not database_runs(home)


def test_pims_up_loads_neither_dagster_nor_graphql() -> None:
    program = (
        "import sys, pims_pipeline.cli.up.command; "
        "print(sorted({'dagster', 'grpc', 'graphql', 'fastapi', 'pandas'} & set(sys.modules)))"
    )
    result = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("option", ["--port", "--api-port"])
def test_a_port_in_use_is_reported_in_one_line_before_anything_is_started(
    option: str, port: int
) -> None:
    other = "--api-port" if option == "--port" else "--port"
    with own_home() as home, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with started(home, "up", "--demo", f"{option}={taken}", f"{other}={port}") as process:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)

        assert (process.returncode, out) == (1, "")
        [line] = err.splitlines()
        assert f"port {taken} on 127.0.0.1 cannot be used (address already in use)" in line
        assert line.endswith(f"or choose another with {option}")
        assert not home.exists()


def test_the_ui_and_the_api_cannot_share_a_port(pims: Pims, port: int) -> None:
    done = pims("up", f"--port={port}", f"--api-port={port}")

    assert (done.exit_code, error_line(done)) == (2, "Error: --port and --api-port are the same")


def test_the_embedded_database_is_served_as_the_api_s_role(home: Path, api_port: int) -> None:
    with started(home, "migrate") as migrating:
        assert migrating.wait(TIMEOUT_SECONDS) == 0
    with started(home, "serve", f"--port={api_port}") as process:
        output_until(process, "Ctrl-C stops it.")
        with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
            checks = client.get(f"http://127.0.0.1:{api_port}/ready").json()["checks"]
        status, *_ = interrupted(process)

    assert (checks["database"], checks["migrations"]) == ({"status": "ok"}, {"status": "ok"})
    assert status == 0
    assert not database_runs(home)


def test_an_address_of_another_machine_is_refused(home: Path, port: int) -> None:
    with started(home, "up", "--host=nowhere.invalid", f"--port={port}") as process:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)

    assert (process.returncode, out) == (1, "")
    assert err.splitlines() == ["Error: --host nowhere.invalid is not an address of this machine"]


SHOWS_SIGINT = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"


def test_a_service_ends_at_sigint_also_when_pims_up_ignores_it(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Service(
            "shows", [sys.executable, "-c", SHOWS_SIGINT], environment(tmp_path), log
        ) as it:
            ending(it)
    finally:
        signal.signal(signal.SIGINT, before)

    assert log.read_text() == "False\n"


ORPHAN = "import time; time.sleep(600)  # the orphan of a test"
LEAVES_AN_ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {ORPHAN!r}])"


def test_what_a_service_leaves_behind_is_stopped_too(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    command = [sys.executable, "-c", LEAVES_AN_ORPHAN]
    with Service("leaver", command, environment(tmp_path), log) as leaver:
        ended = ending(leaver)
        orphans = [each for each in psutil.process_iter() if ORPHAN in command_line(each)]

    assert "leaver ended by itself (status 0)" in ended
    assert len(orphans) == 1
    assert [each for each in orphans if is_alive(each)] == []


def test_what_a_restarted_service_had_started_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    command = [sys.executable, "-c", f"{LEAVES_AN_ORPHAN}; import time; time.sleep(600)"]
    with Service("restarted", command, environment(tmp_path), log) as restarted:
        [first] = until_orphans(1)
        restarted.restart()
        both = until_orphans(2)
        status = restarted.end_status

    assert first in both
    assert status is None
    assert [each for each in both if is_alive(each)] == []


def until_orphans(number: int) -> list[psutil.Process]:
    """The orphans of the service, once there are so many."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = [each for each in psutil.process_iter() if command_line(each)[-1:] == [ORPHAN]]
        if len(found) == number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"there were never {number} orphans")


def ending(ended: Service) -> str:
    """The error message of a service that has ended."""
    with pytest.raises(Refused) as error:
        ended.wait_for("http://127.0.0.1:9/", [ended])
    return str(error.value)


def test_sigterm_acts_as_ctrl_c(home: Path, port: int, api_port: int) -> None:
    with started(home, "up", f"--port={port}", f"--api-port={api_port}") as process:
        # Earlier, a signal would end it by default.
        until(lambda: database_runs(home), process)
        status, _, err, alive = interrupted(process, signal.SIGTERM)

    assert (status, alive) == (0, [])
    assert err.endswith("Stopped.\n")
    assert not database_runs(home)
