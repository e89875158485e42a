"""``pims simulate``: serves this machine only, prints its URL, and stops at Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pims_pipeline.settings import variable_names
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline_tests.cli.invocation import Pims, error_line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "simulator.example"])  # noqa: S104 - refused
def test_other_machines_are_refused(pims: Pims, host: str) -> None:
    done = pims("simulate", "--host", host, "--port=0")

    assert done.exit_code == 2
    assert "127.0.0.1, ::1 or localhost" in error_line(done)


def test_a_port_in_use_is_reported(pims: Pims) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = pims("simulate", f"--port={port}")

    assert done.exit_code == 1
    assert f"port {port} on 127.0.0.1 is in use" in error_line(done)


def test_it_prints_its_url_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    url, shown, clinics = simulated(tmp_path, "--seed=3", "--appointments-per-day=4")

    assert f"Simulated IDEXX Neo: {url}\n" in shown
    assert f"{url}/_control" in shown
    assert set(clinics.values()) == {"idexx_neo"}
    assert set(clinics) == set(re.findall(r"company id (\d+), user demo", shown))


def test_it_plays_both_vendors_and_prints_their_keys(tmp_path: Path) -> None:
    url, shown, clinics = simulated(tmp_path, "--vendor=both")

    assert f"Simulated Vetspire: {url}/graphql\n" in shown
    locations = set(re.findall(r"API key vetspire-demo-\w+, location id (\d+)", shown))
    assert {each for each, vendor in clinics.items() if vendor == "vetspire"} == locations
    assert len(locations) == 3


def simulated(tmp_path: Path, *options: str) -> tuple[str, str, dict[str, str]]:
    """What ``pims simulate`` served: its URL, its output, and the vendors of its clinics."""
    environment = {
        name: value for name, value in os.environ.items() if name not in variable_names().values()
    }
    program = "from pims_pipeline.cli.main import main; main()"
    words = ["simulate", "--port=0", *options]
    with subprocess.Popen(  # noqa: S603 - this interpreter, fixed arguments
        [sys.executable, "-u", "-c", program, *words],
        env={**environment, "PIMS_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = ""
        while "Ctrl-C stops it" not in shown and (line := process.stdout.readline()):
            shown += line
        [url] = re.findall(r"(http://127\.0\.0\.1:\d+)/_control", shown)
        with closing(SimulatorControl(url)) as control:
            clinics = {each.company_id: each.vendor for each in control.clinics()}
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()

    assert process.returncode == 0, errors
    assert errors == ""
    assert not (tmp_path / "home").exists()
    return url, shown, clinics
