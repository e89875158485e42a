"""Where a POST of ``/api/sync/full`` with ``Prefer: wait`` spends its time, in ``pims up --demo``.

Starts it in a home of its own on free ports, syncs a clinic once, and then posts the same request a
few times. Prints the wall and CPU seconds of each response, CPU by process, the timeline of the
last run in seconds after its POST, and the memory of each process. CPU seconds are user and system
time of all processes, ended children included. PSS divides shared memory among its processes.

Target: 4 s warm, on a quiet machine. Run with ``python bench/request_to_end.py [--times 5]``.
``--pims`` measures the installation that has this command instead.
"""

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil  # type: ignore[import-untyped]  # it carries no types

BODY = {"lookbackDays": 7, "daysAhead": 7}
WAIT_SECONDS = 110
END_SECONDS = 1.5
"""After a response: the run's process has ended."""
STOP_SECONDS = 120
MB = 1e6
_NAMES = {
    "forkserver": "fork server",
    "api grpc": "code server",
    "code_server": "code server",
    "up.webserver": "webserver",
    "up.dagster_process": "webserver, daemon",
    "dagster._daemon": "daemon",
    "main() serve": "API",
    "simulat": "simulator",
    "postgres": "database",
}
_EVENTS = """
query Events($run: ID!) {
  logsForRun(runId: $run) {
    ... on EventConnection {
      events { ... on MessageEvent { timestamp message stepKey eventType } }
    }
  }
}
"""
_SHOWN = {
    *("RUN_ENQUEUED", "RUN_STARTING", "RUN_START", "STEP_START", "RUN_SUCCESS"),
    *("PIPELINE_ENQUEUED", "PIPELINE_STARTING", "PIPELINE_START", "PIPELINE_SUCCESS"),
}


class Up(NamedTuple):
    """A running ``pims up --demo``."""

    process: "subprocess.Popen[str]"
    home: Path
    ui: str
    api: httpx2.Client


class Measured(NamedTuple):
    """One request: its sync, when it was sent, and what it took."""

    sync_id: str
    began: float
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures requests for syncs.")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--pims", type=Path, default=Path(sys.executable).with_name("pims"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pims-bench-") as home, running(given.pims, home) as up:
        post(up)
        found = [measured(up) for _ in range(given.times)]
        print_timeline(up, found[-1])
        wall = statistics.median(each.seconds for each in found)
        used = statistics.median(each.cpu_seconds for each in found)
        print(f"median {wall:.2f} s, {used:.2f} CPU s")
        print_memory(up)


def measured(up: Up) -> Measured:
    """Post once, and print what it took."""
    before, began = cpu(up), time.time()
    sync_id = post(up)
    seconds = time.time() - began
    time.sleep(END_SECONDS)
    cost = Counter({name: used - before[name] for name, used in cpu(up).items()})
    parts = ", ".join(f"{name} {used:.2f}" for name, used in cost.most_common())
    load = os.getloadavg()[0]
    print(f"{seconds:6.2f} s, {cost.total():.2f} CPU s ({parts}); load {load:.1f}", flush=True)
    return Measured(sync_id, began, seconds, cost.total())


@contextmanager
def running(pims: Path, home: str) -> Iterator[Up]:
    """Start everything, and stop it at the end."""
    ui, api = free_port(), free_port()
    environment = {**os.environ, "PIMS_HOME": home}
    command = [str(pims), "up", "--demo", f"--port={ui}", f"--api-port={api}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        key = printed_key(process)
        headers = {"X-API-Key": key, "Prefer": f"wait={WAIT_SECONDS}"}
        address = f"http://127.0.0.1:{api}"
        with httpx2.Client(base_url=address, headers=headers, timeout=120, trust_env=False) as to:
            yield Up(process, Path(home), f"http://127.0.0.1:{ui}", to)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def printed_key(process: "subprocess.Popen[str]") -> str:
    """The key that ``pims up`` prints when it is ready."""
    output = ""
    assert process.stdout is not None
    for line in process.stdout:
        output += line
        if "Ctrl-C stops everything" in line:
            break
    found = re.search(r"X-API-Key: (\w+)", output)
    assert found is not None, output
    return found[1]


def post(up: Up) -> str:
    """Sync, and return the id of the sync."""
    response = up.api.post("/api/sync/full", json=BODY)
    assert response.status_code == 200, response.text
    assert response.json()["success"], response.text
    sync_id: str = response.json()["syncId"]
    return sync_id


def processes(up: Up) -> Sequence[psutil.Process]:
    """All processes of the installation."""
    postmaster = int((up.home / "postgres" / "postmaster.pid").read_text().split()[0])
    roots = [psutil.Process(up.process.pid), psutil.Process(postmaster)]
    family = {each for root in roots for each in [root, *root.children(recursive=True)]}
    return sorted(family, key=lambda each: int(each.pid))


def name(process: psutil.Process) -> str:
    """What a process is."""
    words = " ".join(process.cmdline())
    return next((name for part, name in _NAMES.items() if part in words), "other")


def cpu(up: Up) -> Counter[str]:
    """CPU seconds used so far, by kind of process."""
    used: Counter[str] = Counter()
    for each in processes(up):
        with suppress(psutil.NoSuchProcess):
            used[name(each)] += sum(each.cpu_times()[:4])
    return used


def print_timeline(up: Up, request: Measured) -> None:
    """Print when the run's events happened."""
    run = up.api.get(f"/api/sync/{request.sync_id}").json()["links"]["run"].rpartition("/")[2]
    query = {"query": _EVENTS, "variables": {"run": run}}
    response = httpx2.post(f"{up.ui}/graphql", json=query, timeout=60, trust_env=False)
    for event in response.json()["data"]["logsForRun"]["events"]:
        text = event["stepKey"] or event["message"][:60]
        after = int(event["timestamp"]) / 1000 - request.began
        if event["eventType"] in _SHOWN or text.startswith(("Started process", "Process for run")):
            print(f"  {after:6.2f}  {event['eventType']:18} {text}")


def print_memory(up: Up) -> None:
    """Print the memory of the processes."""
    for each in processes(up):
        with suppress(psutil.NoSuchProcess):
            used, kind = each.memory_full_info(), name(each)
            if kind not in {"database", "other"}:
                print(f"  {kind:18} PSS {used.pss / MB:4.0f} MB, RSS {used.rss / MB:4.0f} MB")


if __name__ == "__main__":
    main()
