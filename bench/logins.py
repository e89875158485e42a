"""200 logins in one process, one at a time and two at once: CPU, memory, processes left behind.

A worker process logs in to the simulator; this process reads the CPU and the memory of the worker,
of Playwright's driver and of the browsers several times a second. The last part of a process,
shorter than ``_SAMPLE_SECONDS``, is missed. Memory is what each process has to itself: pages that
processes share, such as Chromium's program, are left out, because their share depends on what else
the machine runs. The simulator is not measured.

Run with ``python bench/logins.py``; it takes some minutes. Needs Linux.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import psutil  # type: ignore[import-untyped]  # it carries no types
from support.measured_clinic import simulator

LOGINS = 200
MILESTONES = (1, 10, 50, 100, 200)
_SAMPLE_SECONDS = 0.05
_WORKER = Path(__file__).parent / "support" / "login_worker.py"
_KINDS = ("ours", "driver", "browser")


class Family:
    """A worker with its descendants, and the CPU seconds of those that have ended too."""

    def __init__(self, worker: int) -> None:
        self._worker = psutil.Process(worker)
        self._seen: dict[psutil.Process, tuple[str, float]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def cpu_seconds(self) -> dict[str, float]:
        """The CPU seconds so far, by kind of process."""
        used = dict.fromkeys(_KINDS, 0.0)
        for kind, seconds in list(self._seen.values()):
            used[kind] += seconds
        return used

    def memory(self) -> Counter[str]:
        """The memory now, in MB, by kind of process."""
        found: Counter[str] = Counter()
        for each in self._members():
            with suppress(psutil.Error):
                found[self._kind(each)] += round(each.memory_full_info().uss / 1e6)
        return found

    def alive(self) -> Counter[str]:
        """How many processes there are: descendants, and those whose parent has ended."""
        found: Counter[str] = Counter()
        for each in list(self._seen):
            with suppress(psutil.Error):
                if each.is_running():
                    zombie = each.status() == psutil.STATUS_ZOMBIE
                    found["zombies" if zombie else self._kind(each)] += 1
        return found

    def _members(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self._worker, *self._worker.children(recursive=True)]
        return []

    def _kind(self, process: psutil.Process) -> str:
        if process == self._worker:
            return "ours"
        return "driver" if "node" in process.name() else "browser"

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            for each in self._members():
                with suppress(psutil.Error):
                    times = each.cpu_times()
                    self._seen[each] = (self._kind(each), times.user + times.system)


def measure(url: str, logins: int, at_once: int) -> None:
    """Run a worker and print its figures."""
    print(f"{logins} logins, {at_once} at once", flush=True)
    with tempfile.TemporaryDirectory(prefix="pims-bench") as home:
        command = [sys.executable, str(_WORKER), url, str(logins), str(at_once), home]
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        with worker, Family(worker.pid) as family:
            _follow(worker, family, logins)
            worker.wait(60)
            sleep(2)
            left = family.alive()
    print(f"  left behind by the ended process: {dict(left) or 'nothing'}", flush=True)


def _follow(worker: "subprocess.Popen[str]", family: Family, logins: int) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline().strip() == "ready"
    sleep(4 * _SAMPLE_SECONDS)
    before, began = family.cpu_seconds(), monotonic()
    worker.stdin.write("go\n")
    for count in range(1, logins + 1):
        assert worker.stdout.readline().strip() == "login", "a login failed"
        if count in MILESTONES:
            megabytes = family.memory()
            shown = ", ".join(f"{kind} {megabytes[kind]}" for kind in _KINDS)
            print(f"  after {count}: {megabytes.total()} MB ({shown})", flush=True)
    seconds = monotonic() - began
    assert worker.stdout.readline().strip() == "done"
    sleep(4 * _SAMPLE_SECONDS)
    used = {kind: seconds - before[kind] for kind, seconds in family.cpu_seconds().items()}
    shown = ", ".join(f"{kind} {used[kind] / logins:.2f}" for kind in _KINDS)
    print(
        f"  {sum(used.values()) / logins:.2f} CPU s a login ({shown}), "
        f"{seconds / logins:.2f} s wall\n"
        f"  after the last login: {dict(family.alive())}",
        flush=True,
    )
    worker.stdin.write("end\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Logins with a shared browser: CPU, memory.")
    parser.add_argument("--logins", type=int, default=LOGINS)
    logins: int = parser.parse_args().logins
    with simulator(appointments_per_day=10) as url:
        for at_once in (1, 2):
            measure(url, logins, at_once)


if __name__ == "__main__":
    main()
