"""What the scripts share: the rows, and the figures that they print. Standard library only."""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

TIMES = ("scheduled_start", "scheduled_end", "vendor_updated_at")
"""The fields that are timestamps; the others are text."""


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def timed(load: Callable[[], object]) -> None:
    """Run the load; print its figures as JSON, the last line of standard output."""
    used, began = _cpu_seconds(), perf_counter()
    load()
    figures = {
        "seconds": perf_counter() - began,
        "cpu_seconds": _cpu_seconds() - used,
        "peak_mb": _peak_mb(),
    }
    sys.stdout.write("\n" + json.dumps(figures) + "\n")


def _cpu_seconds() -> float:
    """CPU time of this process and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """The peak of the resident memory, rows and imports included."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike ``ru_maxrss`` it leaves out the process that started this one.
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
