"""The server's handles: starting, stopping, a port in use, Ctrl-C, and what it may import."""

import ast
import signal
import subprocess
import sys

import httpx2
import pytest

from pims_pipeline.simulator.practice.clinics import DEFAULT_CLINICS, SimulatorConfig
from pims_pipeline.simulator.server import PortInUse, SimulatorServer, running_simulator
from pims_pipeline_tests.test_repository import PACKAGE, modules


def test_a_port_in_use_is_reported_clearly(server: SimulatorServer) -> None:
    port = int(server.base_url.rpartition(":")[2])

    with (
        pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use: stop"),
        running_simulator(port=port),
    ):
        pass


def test_a_stopped_server_frees_its_port() -> None:
    with running_simulator() as server:
        url = server.base_url
        assert httpx2.get(f"{url}/login").status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/login")
    with running_simulator(port=int(url.rpartition(":")[2])) as again:
        assert again.base_url == url


def test_two_clinics_with_one_company_id_are_refused() -> None:
    config = SimulatorConfig(clinics=(DEFAULT_CLINICS[0], DEFAULT_CLINICS[0]))

    with pytest.raises(ValueError, match="company id 1001"), running_simulator(config):
        pass


def test_ctrl_c_ends_the_serving_process_quietly() -> None:
    program = (
        "from pims_pipeline.simulator.server import serve\n"
        "serve(port=0, on_ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter, our own program
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert httpx2.get(f"{url}/login").status_code == 200
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=20)

    assert (process.returncode, output) == (0, "")


def test_the_simulator_imports_nothing_else_of_the_package() -> None:
    room = PACKAGE / "simulator"
    imported = {
        name
        for path in modules(room)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in names_of(node)
        if name.split(".")[0] == "pims_pipeline"
    }

    assert {name for name in imported if not name.startswith("pims_pipeline.simulator")} == set()


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
