"""Everyday work with one clinic, the database beside it: commands, the API, and their cost.

A warm full sync covers 15 days, with a stored session and nothing to change. Its connections,
statements and round trips are counted by a proxy that adds no delay; times are measured without it.
Measures the installation of this interpreter, or that of ``--python``, in the same way:

    python bench/everyday.py --python ../other/.venv/bin/python

Run with ``make bench-everyday``. What ``pims up`` costs while nothing is due is ``idle.py``'s.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from psycopg import sql
from support.installation import SLUG, Installation, RunningApi
from support.measured import Finished, tree_cpu_seconds
from support.measured_clinic import simulator
from support.postgres import Server, server
from support.proxy import proxy
from support.results import parser, report

API_LOGIN = "bench_api"


def main() -> None:
    """Measure, print and keep."""
    options = parser(__doc__)
    options.add_argument("--python", type=Path, default=Path(sys.executable))
    options.add_argument("--runs", type=int, default=5, help="the median of so many is kept")
    arguments = options.parse_args()
    runs: int = arguments.runs
    with server() as world, simulator() as vendor_url:
        # Not resolved: the interpreter of a virtual environment is a link.
        python = arguments.python.absolute()
        installed = Installation.at(python, world.directory / "home", world.url())
        installed.add_clinic(vendor_url)
        figures = {
            "runs": runs,
            "counts": counts(installed, world),
            "sync_full": median_of(runs, installed.full_sync, world),
            "status": median_of(runs, lambda: installed.pims("status"), world),
            "cases_list": median_of(
                runs, lambda: installed.pims("cases", "list", "--clinic", SLUG), world
            ),
            "post_sync_full": api(installed, world, runs),
        }
    report("everyday", "make bench-everyday", figures, arguments)


def counts(installed: Installation, world: Server) -> dict[str, int]:
    """What one warm full sync asks of the database."""
    with proxy(world.socket, 0) as between:
        installed.on(between.url).full_sync()
        taken = between.take_counts()
    return {
        "connections": taken.connections,
        "statements": taken.statements,
        "round_trips": taken.round_trips,
    }


def median_of(runs: int, work: Callable[[], Finished], world: Server) -> dict[str, float]:
    """The median wall and CPU time of a command, and the database's CPU time for it."""
    samples = []
    for _ in range(runs):
        before = world.cpu_seconds()
        done = work()
        samples.append((done.seconds, done.cpu_seconds, world.cpu_seconds() - before))
    return medians(samples)


def api(installed: Installation, world: Server, runs: int) -> dict[str, float]:
    """The median of POST /api/sync/full that waits for the result, after one that is not counted.

    Its CPU time is that of everything that ``pims up`` started.
    """
    login = sql.Identifier(API_LOGIN)
    world.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pims_api").format(login))
    with installed.up(world.url(user=API_LOGIN)) as running:
        running.full_sync()
        return medians([request(running, world) for _ in range(runs)])


def request(running: RunningApi, world: Server) -> tuple[float, float, float]:
    """One request: its wall time, the CPU time of ``pims up``, and the database's."""
    postgres, used, began = world.cpu_seconds(), tree_cpu_seconds(running.process), perf_counter()
    running.full_sync()
    seconds = perf_counter() - began
    return seconds, tree_cpu_seconds(running.process) - used, world.cpu_seconds() - postgres


def medians(samples: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    """The median of each figure."""
    names = ("seconds", "cpu_seconds", "postgres_cpu_seconds")
    columns = zip(*samples, strict=True)
    return {name: statistics.median(column) for name, column in zip(names, columns, strict=True)}


if __name__ == "__main__":
    main()
