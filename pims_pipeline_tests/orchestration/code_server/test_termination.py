"""Terminating a run whose code server has ended."""

import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest

from pims_pipeline.orchestration.code_server.termination import ends_when_terminated
from pims_pipeline_tests.cli.processes import is_alive
from pims_pipeline_tests.providers.stopping import eventually

TIMEOUT_SECONDS = 60


class StatusFile:
    """An instance whose one run has the status that a file names."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get_run_by_id(self, _run_id: str) -> object:
        """The run; fails at first, as while a database restarts."""
        if not self._file.exists():
            raise ConnectionError
        status = dg.DagsterRunStatus(self._file.read_text())
        return SimpleNamespace(status=status, is_finished=status is dg.DagsterRunStatus.CANCELED)


def execute_run(directory: Path) -> None:
    """A run that works until it is interrupted."""
    instance = cast("dg.DagsterInstance", StatusFile(directory / "status"))
    try:
        with ends_when_terminated(instance, "a-run"):
            (directory / "pid").write_text(str(os.getpid()))
            time.sleep(TIMEOUT_SECONDS)
    except KeyboardInterrupt:
        (directory / "interrupted").touch()


def serve_code(directory: Path, *, dies: bool) -> None:
    """Start a run as a code server does, and die, or stay until it has ended."""
    run = multiprocessing.get_context("spawn").Process(target=execute_run, args=(directory,))
    run.start()
    eventually((directory / "pid").exists)
    if dies:
        os._exit(1)
    run.join()


def started(directory: Path, *, dies: bool) -> psutil.Process:
    """The process of the run."""
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve_code, args=(directory,), kwargs={"dies": dies})
    server.start()
    eventually(lambda: (directory / "pid").exists() and (directory / "pid").read_text() != "")
    run = psutil.Process(int((directory / "pid").read_text()))
    if dies:
        server.join(TIMEOUT_SECONDS)
    return run


@pytest.mark.parametrize("status", ["CANCELING", "CANCELED"])
def test_a_run_without_its_code_server_ends_when_it_is_terminated(
    tmp_path: Path, status: str
) -> None:
    run = started(tmp_path, dies=True)
    assert is_alive(run)
    (tmp_path / "status").write_text("STARTED")
    assert is_alive(run)
    (tmp_path / "status").write_text(status)

    eventually(lambda: not is_alive(run))
    assert (tmp_path / "interrupted").exists()


def test_the_code_server_alone_ends_a_run_while_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("CANCELING")
    run = started(tmp_path, dies=False)

    with pytest.raises(psutil.TimeoutExpired):
        run.wait(3)
    run.kill()
