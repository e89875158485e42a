"""What ``pims up --demo`` costs while nothing is due: CPU and memory, process by process.

Starts it in a home of its own on free ports, waits until it has settled, measures for three
minutes between two ticks of the clinics' schedules, and stops it. CPU seconds are user and system
time of every process of the tree, ended children included. PSS divides shared memory among the
processes that share it, so its sum is what the machine gives; RSS counts shared memory each time.

Target: under 2 CPU seconds a minute, and 600 MB of PSS, in all. Run with ``python bench/idle.py
[--seconds 180]``; it takes five to twenty minutes, because it waits for a gap in the schedules.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types

SETTLE_SECONDS = 75
"""After the start: every sensor has been evaluated, caches are filled."""
TICK_SECONDS = 15 * 60
"""The demo clinics' shortest schedule: a tick every quarter of an hour."""
BUSY_SECONDS = 120
"""How long a tick's runs may take."""
START_SECONDS = 180
STOP_SECONDS = 60
MB = 1e6
_PIMS = "from pims_pipeline.cli.main import main; main()"
_NAMES = {
    "dagster._daemon": "daemon",
    "cli.up.webserver": "webserver",
    "cli.up.dagster_process": "UI and daemon",
    "serve": "API",
    "simulate": "simulator",
    "cli.up.simulator": "simulator",
    "up": "pims up",
}


@dataclass
class Cost:
    """What one process, with those it started, has used."""

    cpu: float = 0
    pss: float = 0
    rss: float = 0
    processes: int = 0

    def add(self, other: "Cost") -> None:
        """Add the cost of another process."""
        self.cpu += other.cpu
        self.pss += other.pss
        self.rss += other.rss
        self.processes += other.processes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures an idle pims up.")
    parser.add_argument("--seconds", type=int, default=180)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="pims-bench-") as home, running(Path(home)) as up:
        postmaster = int((Path(home) / "postgres" / "postmaster.pid").read_text().split()[0])
        roots = [psutil.Process(up.pid), psutil.Process(postmaster)]
        time.sleep(SETTLE_SECONDS)
        wait_for_a_gap(seconds)
        before, began = read(roots), time.monotonic()
        time.sleep(seconds)
        after, took = read(roots), time.monotonic() - began
    report(before, after, took)


@contextmanager
def running(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """``pims up --demo``, ready; stopped after the block."""
    ports = [f"--port={free_port()}", f"--api-port={free_port()}"]
    own = {"PIMS_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    up = subprocess.Popen(
        [sys.executable, "-c", _PIMS, "up", "--demo", *ports],
        env={**without_settings(os.environ), **own},
        stdout=subprocess.PIPE,
        text=True,
        cwd=home.parent,
    )
    try:
        wait_until_ready(up)
        yield up
    finally:
        # A shell lets its background jobs ignore SIGINT.
        up.terminate()
        with suppress(subprocess.TimeoutExpired):
            up.wait(STOP_SECONDS)
        up.kill()


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the pipeline and of Dagster."""
    ours = ("PIMS_", "DAGSTER_", "ENCRYPTION_", "SLACK_", "AXIOM_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    return free


def wait_until_ready(up: "subprocess.Popen[str]") -> None:
    """Wait for the last line of the announcement."""
    assert up.stdout is not None
    watchdog = threading.Timer(START_SECONDS, up.terminate)
    watchdog.start()
    try:
        if not any("Ctrl-C stops everything." in line for line in up.stdout):
            raise SystemExit("pims up did not start")
    finally:
        watchdog.cancel()


def wait_for_a_gap(seconds: float) -> None:
    """Wait until no tick is due for so many seconds, and the last one's runs have ended."""
    while not BUSY_SECONDS <= time.time() % TICK_SECONDS < TICK_SECONDS - seconds:
        time.sleep(1)


def read(roots: list[psutil.Process]) -> dict[str, Cost]:
    """The cost so far, by kind of process."""
    found: dict[str, Cost] = {}
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found.setdefault(name_of(process), Cost()).add(cost_of(process))
    return found


def name_of(process: psutil.Process) -> str:
    """What kind of process it is."""
    words: list[str] = process.cmdline()
    if process.name() == "postgres":
        return "PostgreSQL"
    if {"api", "grpc"} <= set(words) or any("code_server" in word for word in words):
        return "code server"
    for word, name in _NAMES.items():
        if any(each == word or (word in each and "." in word) for each in words):
            return name
    # A helper of its parent's.
    parent = process.parent()
    return "others" if parent is None else name_of(parent)


def cost_of(process: psutil.Process) -> Cost:
    """The cost of a process and of its ended children."""
    times, memory = process.cpu_times(), process.memory_full_info()
    cpu = times.user + times.system + times.children_user + times.children_system
    return Cost(cpu, memory.pss / MB, memory.rss / MB, 1)


def report(before: Mapping[str, Cost], after: Mapping[str, Cost], seconds: float) -> None:
    """Print the table."""
    print(f"{seconds:.0f} s idle      processes  CPU s  CPU s a minute  PSS MB  RSS MB")
    total, earlier = Cost(), Cost()
    for name in sorted(after, key=lambda each: -after[each].pss):
        earlier.add(before.get(name, Cost()))
        total.add(after[name])
        print_row(name, before.get(name, Cost()), after[name], seconds)
    print_row("in all", earlier, total, seconds)
    print(f"{(total.cpu - earlier.cpu) / seconds:.3f} cores", flush=True)


def print_row(name: str, before: Cost, after: Cost, seconds: float) -> None:
    """Print one line of the table."""
    used = after.cpu - before.cpu
    print(
        f"{name:16.16} {after.processes:9} {used:6.2f} {used * 60 / seconds:15.2f} "
        f"{after.pss:7.0f} {after.rss:7.0f}"
    )


if __name__ == "__main__":
    main()
