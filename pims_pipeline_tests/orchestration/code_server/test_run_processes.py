"""The processes of runs: forked, started without the fork server, watched, ended.

Each test is a function that is executed in a process of its own, because a process has one fork
server, and forks it only while it has one thread.
"""

import atexit
import multiprocessing
import os
import random
import signal
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import forkserver, process
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeVar

import psutil  # type: ignore[import-untyped]  # it carries no types
import pytest

from pims_pipeline.orchestration.code_server import run_processes
from pims_pipeline.orchestration.code_server.fork_server import CAN_FORK, start_fork_server
from pims_pipeline.orchestration.code_server.run_processes import LOST, RunContext, end_runs
from pims_pipeline_tests.cli.processes import is_alive
from pims_pipeline_tests.providers.stopping import eventually

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="forks on Linux only")

TIMEOUT_SECONDS = 60
PRELOADED = "colorsys"
"""A module that nothing else imports."""
Result = TypeVar("Result")


def in_own_process(scenario: Callable[..., Result], *arguments: object) -> Result:
    """What the function returns, or raises, in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_with_own_directory) as pool:
        return pool.submit(scenario, *arguments).result(TIMEOUT_SECONDS)


def _with_own_directory() -> None:
    # It would be this process's own temporary directory, if an earlier test has made one.
    process.current_process()._config.pop("tempdir", None)  # type: ignore[attr-defined]


def fork_server() -> psutil.Process:
    """This process's fork server."""
    return psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Seen:
    """What a run sees of itself."""

    parent: int
    modules: frozenset[str]
    number: float
    environment: dict[str, str]
    start_method: str | None


def look(seen: "Queue[Seen]") -> None:
    """Send what this process sees."""
    method = multiprocessing.get_start_method(allow_none=True)
    modules = frozenset(sys.modules)
    seen.put(Seen(os.getppid(), modules, random.random(), dict(os.environ), method))  # noqa: S311


def run(target: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process as Dagster's code server does."""
    process = RunContext().Process(target=target, args=arguments)
    process.start()
    return process


def seen_by_run() -> Seen:
    """What a run sees that ends well."""
    queue: Queue[Seen] = RunContext().Queue()
    process = run(look, queue)
    seen = queue.get(timeout=TIMEOUT_SECONDS)
    process.join(TIMEOUT_SECONDS)
    assert process.exitcode == 0
    return seen


def is_forked(server: psutil.Process) -> bool:
    """Whether the server shares its parent's memory: it was not started as a program."""
    return bool(server.cmdline() == psutil.Process().cmdline())


def forks() -> tuple[int, list[str]]:
    start_fork_server([PRELOADED])
    server = fork_server()
    os.environ["PIMS_LATE"] = "set after the fork server started"
    first, second = seen_by_run(), seen_by_run()

    assert first.parent == second.parent == server.pid
    assert server.ppid() == os.getpid()
    assert is_forked(server)
    assert {PRELOADED, run_processes.__name__} <= first.modules
    # Otherwise two runs would draw the same delays.
    assert first.number != second.number
    assert first.environment.keys() == server.environ().keys()
    assert first.start_method == "spawn"
    [address] = {each.laddr for each in server.net_connections("all")}
    assert stat.S_IMODE(Path(address).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700
    assert server.num_threads() == 1
    return server.pid, [address]


def test_a_run_is_forked_from_a_server_with_one_thread_that_ends_with_its_parent() -> None:
    pid, [address] = in_own_process(forks)

    eventually(lambda: not psutil.pid_exists(pid) or not is_alive(psutil.Process(pid)))
    assert not Path(address).parent.exists()


def forks_with_threads() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    start_fork_server([PRELOADED])

    assert seen_by_run().parent == fork_server().pid
    assert fork_server().num_threads() == 1
    assert not is_forked(fork_server())


def test_a_process_with_threads_is_not_forked_into_a_server() -> None:
    in_own_process(forks_with_threads)


def replaces() -> None:
    start_fork_server([PRELOADED])
    dead = fork_server()
    dead.kill()
    eventually(lambda: not is_alive(dead))
    seen = seen_by_run()

    assert seen.parent == fork_server().pid != dead.pid
    assert PRELOADED in seen.modules


def test_a_fork_server_that_died_is_replaced_at_the_next_start() -> None:
    in_own_process(replaces)


def outlives() -> None:
    start_fork_server([PRELOADED])
    end = RunContext().Event()
    process = run(wait_for, end)
    fork_server().kill()
    eventually(lambda: not is_alive(fork_server()))

    assert process.is_alive()
    assert process.exitcode is None
    end.set()
    process.join(TIMEOUT_SECONDS)
    assert not process.is_alive()
    # How it ended cannot be known.
    assert process.exitcode == LOST


def wait_for(end: Event) -> None:
    """Wait for the event."""
    assert end.wait(TIMEOUT_SECONDS)


def test_a_run_outlives_the_fork_server_and_is_still_watched() -> None:
    in_own_process(outlives)


def is_killed() -> None:
    start_fork_server([PRELOADED])
    process = run(wait_for, RunContext().Event())
    assert process.is_alive()
    process.kill()
    process.join(TIMEOUT_SECONDS)

    assert process.exitcode == -signal.SIGKILL


def test_a_killed_run_is_noticed_with_its_signal() -> None:
    in_own_process(is_killed)


def append(path: Path, line: str) -> None:
    """Append a line to the file, and another when this process ends."""
    with path.open("a") as file:
        file.write(line)
    atexit.register(append_end, path)


def append_end(path: Path) -> None:
    """Append that this process ended."""
    with path.open("a") as file:
        file.write("ended\n")


def starts_without(path: Path) -> None:
    start_fork_server([PRELOADED])
    server = fork_server()
    server.suspend()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_processes, "START_SECONDS", 0.5)
        process = run(append, path, "ran\n")
    process.join(TIMEOUT_SECONDS)
    assert process.exitcode == 0
    assert not server.children()
    server.resume()
    # The fork server makes the process that it was asked for, which finds no work.
    seen = seen_by_run()

    assert seen.parent == server.pid
    eventually(lambda: not server.children())


def test_a_run_starts_once_and_without_the_fork_server_if_that_is_stuck(tmp_path: Path) -> None:
    in_own_process(starts_without, tmp_path / "lines")

    assert (tmp_path / "lines").read_text() == "ran\nended\n"


def ends(path: Path) -> None:
    start_fork_server([PRELOADED])
    process = run(append, path, "ran\n")
    process.join(TIMEOUT_SECONDS)


def test_a_forked_run_calls_what_is_registered_for_its_end(tmp_path: Path) -> None:
    in_own_process(ends, tmp_path / "lines")

    assert (tmp_path / "lines").read_text() == "ran\nended\n"


def until_interrupted(path: Path) -> None:
    append(path, "started\n")
    try:
        threading.Event().wait(TIMEOUT_SECONDS)
    except KeyboardInterrupt:
        append(path, "interrupted\n")


def ends_its_runs(path: Path) -> None:
    start_fork_server([PRELOADED])
    runs = [run(until_interrupted, path), run(until_interrupted, path)]
    eventually(lambda: path.exists() and path.read_text().split() == ["started"] * 2)
    end_runs(TIMEOUT_SECONDS)

    assert not any(each.is_alive() for each in runs)


def test_runs_that_end_with_their_code_server_are_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    in_own_process(ends_its_runs, path)

    assert path.read_text().split().count("interrupted") == 2
