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
    environment = {
        name: value for name, value in os.environ.items() if name not in variable_names().values()
    }
    program = "from pims_pipeline.cli.main import main; main()"
    words = ["simulate", "--port=0", "--seed=3", "--appointments-per-day=4"]
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
        [url] = re.findall(r"IDEXX Neo: (http://127\.0\.0\.1:\d+)", shown)
        with closing(SimulatorControl(url)) as control:
            clinics = control.clinics()
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()

    assert process.returncode == 0, errors
    assert errors == ""
    assert f"{url}/_control" in shown
    assert {clinic.company_id for clinic in clinics} == set(
        re.findall(r"company id (\d+), user demo", shown)
    )
    assert not (tmp_path / "home").exists()
