"""When ``pims up`` restarts its code server, and when it gives up."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest

from pims_pipeline.cli.terminal.errors import Refused
from pims_pipeline.cli.up.code_server import (
    CHANGE_SECONDS,
    MOST_RESTARTS,
    RESTARTS_SECONDS,
    SILENT_SECONDS,
    CodeServerKeeper,
    Fingerprint,
    installation,
)
from pims_pipeline.cli.up.services import Service
from pims_pipeline.orchestration.code_server.fork_server import CAN_FORK
from pims_pipeline_tests.cli.processes import environment
from pims_pipeline_tests.providers.stopping import eventually

FORKING = """
import time
from pims_pipeline.orchestration.code_server.fork_server import start_fork_server

start_fork_server(["colorsys"])
print("started", flush=True)
time.sleep(600)
"""


class FakeService(Service):
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        super().__init__("code", [], {}, Path("code.log"))
        self.status: int | None = None
        self.restarts = 0

    @property
    def end_status(self) -> int | None:
        """What the test set."""
        return self.status

    def restart(self) -> None:
        """Count it."""
        self.status = None
        self.restarts += 1

    def fail(self, problem: str) -> NoReturn:
        """Fail without a log."""
        raise Refused(problem)


class World:
    """A code server, its keeper, their clock and the program's files."""

    def __init__(self, directory: Path) -> None:
        self.now = 1000.0
        self.asked, self.seen = directory / "code.asked", directory / "code.seen"
        self.files: Fingerprint = frozenset({("a.py", 1, 1)})
        self.service = FakeService()
        self.touch(self.asked, self.seen)
        self.keeper = CodeServerKeeper(
            self.service,
            self.asked,
            self.seen,
            fingerprint=lambda: self.files,
            clock=lambda: self.now,
        )

    def touch(self, *files: Path) -> None:
        """Touch what is touched when the code server is checked, or responds."""
        for each in files:
            each.touch()
            os.utime(each, (self.now, self.now))

    def pass_time(self, seconds: float, *, asks: bool = True, responds: bool = True) -> None:
        """Let time pass, with a check each second."""
        for _ in range(int(seconds)):
            self.now += 1
            self.touch(*([self.asked] * asks), *([self.seen] * responds))
            self.keeper.check()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A code server that has responded."""
    return World(tmp_path)


def test_a_code_server_that_runs_is_left_alone(world: World) -> None:
    world.pass_time(10 * SILENT_SECONDS)

    assert world.service.restarts == 0


def test_one_that_ended_is_restarted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.service.status = -9
    world.keeper.check()

    assert world.service.restarts == 1
    assert "code ended by itself (status -9); restarting it" in capsys.readouterr().err


def test_one_that_stays_silent_is_restarted(world: World) -> None:
    world.pass_time(1 + SILENT_SECONDS, responds=False)
    assert world.service.restarts == 0

    world.pass_time(1, responds=False)
    assert world.service.restarts == 1
    # It gets as long again to start.
    world.pass_time(1 + SILENT_SECONDS, responds=False)
    assert world.service.restarts == 1


def test_one_that_nothing_asks_is_left_alone(world: World) -> None:
    world.pass_time(10 * SILENT_SECONDS, asks=False, responds=False)
    world.pass_time(1, responds=False)
    world.pass_time(SILENT_SECONDS)

    assert world.service.restarts == 0


def test_one_that_keeps_ending_is_given_up(world: World) -> None:
    for _ in range(MOST_RESTARTS):
        world.service.status = 1
        world.keeper.check()
    world.service.status = 1

    with pytest.raises(Refused, match=r"ended by itself \(status 1\), after 3 restarts"):
        world.keeper.check()


def test_restarts_long_ago_do_not_count(world: World) -> None:
    for _ in range(2 * MOST_RESTARTS):
        world.service.status = 1
        world.keeper.check()
        world.pass_time(RESTARTS_SECONDS / 2)

    assert world.service.restarts == 2 * MOST_RESTARTS


def test_a_changed_program_is_loaded_once_its_files_rest(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    changing: Iterator[Fingerprint] = (frozenset({("a.py", each, 1)}) for each in range(2, 100))
    for _ in range(3):
        world.files = next(changing)
        world.pass_time(CHANGE_SECONDS)
    assert world.service.restarts == 0

    world.pass_time(2 * CHANGE_SECONDS)
    assert world.service.restarts == 1
    assert "The files of pims_pipeline have changed" in capsys.readouterr().err
    world.pass_time(10 * CHANGE_SECONDS)
    assert world.service.restarts == 1


def test_the_files_of_an_installation_are_compared_by_time_and_size(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner" / "__pycache__").mkdir(parents=True)
    module = package / "inner" / "module.py"
    module.write_text("1")
    before = installation(package)
    (package / "inner" / "__pycache__" / "module.pyc").write_text("compiled")
    assert installation(package) == before

    module.write_text("12")
    after = installation(package)
    assert after != before
    (package / "new.py").write_text("")
    assert installation(package) not in (before, after)
    assert installation(tmp_path / "nothing") == frozenset()


def test_files_may_vanish_while_they_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone.py").write_text("")
    with os.scandir(tmp_path) as entries:
        listed = list(entries)
    (tmp_path / "gone.py").unlink()
    monkeypatch.setattr(os, "scandir", lambda _: listed)

    assert installation(tmp_path) == frozenset()


@pytest.mark.skipif(not CAN_FORK, reason="forks on Linux only")
def test_a_code_server_shares_its_memory_with_its_fork_server(tmp_path: Path) -> None:
    log = tmp_path / "code.log"
    with Service("code", [sys.executable, "-c", FORKING], environment(tmp_path), log) as service:
        eventually(lambda: "started" in log.read_text())
        code = psutil.Process(service._process.pid if service._process else -1)
        shared = [each for each in code.children() if each.cmdline() == code.cmdline()]

    assert len(shared) == 1
