"""``pims part``: what each part needs, and what its health check believes."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from pims_pipeline.cli.main import main
from pims_pipeline.orchestration.parts import (
    code_server_responds,
    daemon_beat,
    daemon_is_alive,
    web_server_responds,
)
from pims_pipeline.orchestration.services import code_server_command, remote_workspace
from pims_pipeline_tests.cli.invocation import Pims, error_line
from pims_pipeline_tests.cli.up.test_up import free_port
from pims_pipeline_tests.observability.stand_ins import Canned, Watcher, serving

LONG_AGO = 1_000_000_000


@pytest.mark.parametrize(
    "words", [("webserver",), ("daemon",), ("webserver", "--code-server=code-server:4000")]
)
def test_a_part_without_shared_storage_says_what_to_set(words: tuple[str, ...], pims: Pims) -> None:
    result = pims("part", *words, PIMS_DATABASE_URL=None)

    assert result.exit_code == 1
    assert error_line(result).startswith("Error: DAGSTER_POSTGRES_URL must be set")


def test_the_code_server_says_what_to_set(pims: Pims) -> None:
    result = pims("part", "code-server", PIMS_DATABASE_URL=None)

    assert result.exit_code == 1
    assert error_line(result).startswith("Error: PIMS_DATABASE_URL must be set")


@pytest.mark.parametrize("address", ["code-server", ":4000", "code-server:", "code-server:http"])
def test_a_code_server_without_a_port_is_refused(address: str, pims: Pims) -> None:
    result = pims("part", "daemon", f"--code-server={address}")

    assert result.exit_code == 2
    assert "such as code-server:4000" in error_line(result)


def test_the_workspace_names_the_code_server(tmp_path: Path) -> None:
    workspace = remote_workspace(tmp_path / "daemon.yaml", "code-server", 4000)

    assert workspace.read_text(encoding="utf-8").splitlines() == [
        "load_from:",
        "  - grpc_server:",
        '      host: "code-server"',
        "      port: 4000",
        "      location_name: pims_pipeline",
    ]


def test_the_code_server_gets_the_address_to_listen_at() -> None:
    command = code_server_command("0.0.0.0", 4000)  # noqa: S104 - compared only

    assert command[3:7] == ["--host", "0.0.0.0", "--port", "4000"]  # noqa: S104 - as above


def test_nothing_listening_is_no_response() -> None:
    port = free_port()

    assert not web_server_responds(port, "/health")
    assert not code_server_responds(port)


def test_a_web_server_that_responds_with_an_error_is_not_healthy() -> None:
    watcher = Watcher()
    with serving(watcher):
        port = urlsplit(watcher.address).port
        assert port is not None
        assert web_server_responds(port, "/ping")
        watcher.faults.append(Canned(503, "Unavailable"))
        assert not web_server_responds(port, "/ping")


def test_a_daemon_is_alive_while_its_file_is_touched(tmp_path: Path) -> None:
    beat = daemon_beat(tmp_path)
    assert not daemon_is_alive(beat)

    beat.touch()
    assert daemon_is_alive(beat)

    os.utime(beat, (LONG_AGO, LONG_AGO))
    assert not daemon_is_alive(beat)


def test_a_check_that_fails_is_one_line_and_status_1() -> None:
    result = CliRunner().invoke(main, ["part", "check", "webserver", f"--port={free_port()}"])

    assert result.exit_code == 1
    assert error_line(result) == "Error: the part webserver does not respond; its log says why"
