"""Everyday work with the database some milliseconds away: 0, 5, 20 and 50 by default.

A proxy in between adds half of the round trip each way and counts what passes
(``support/proxy.py``). Each delay measures one warm full sync of one clinic over 15 days, and two
commands that only read. ``measured_ms`` is what a trivial query took through the proxy.
Run with ``make bench-network``.
"""

import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import psycopg
from support.installation import SLUG, Installation
from support.measured import Finished
from support.measured_clinic import simulator
from support.postgres import Server, server
from support.proxy import Proxy, proxy
from support.results import parser, report

QUERIES = 20


def main() -> None:
    """Measure, print and keep."""
    options = parser(__doc__)
    options.add_argument("--python", type=Path, default=Path(sys.executable))
    options.add_argument(
        "--delays", type=float, nargs="+", default=[0, 5, 20, 50], metavar="MS", help="round trips"
    )
    options.add_argument("--runs", type=int, default=3, help="the median of so many is kept")
    arguments = options.parse_args()
    with server() as world, simulator() as vendor_url:
        python = arguments.python.absolute()
        installed = Installation.at(python, world.directory / "home", world.url())
        installed.add_clinic(vendor_url)
        measured = [at_delay(installed, world, delay, arguments.runs) for delay in arguments.delays]
    figures = {"runs": arguments.runs, "delays": measured}
    report("network", "make bench-network", figures, arguments)


def at_delay(
    installed: Installation, world: Server, delay_ms: float, runs: int
) -> dict[str, object]:
    """The figures at one round trip, in milliseconds."""
    with proxy(world.socket, delay_ms / 1000) as between:
        far = installed.on(between.url)
        trivial = query_ms(between)
        between.take_counts()
        syncs = [far.full_sync() for _ in range(runs)]
        counted = asdict(between.take_counts())
        figures = {
            "round_trip_ms": delay_ms,
            "measured_ms": trivial,
            "sync_full": {
                **medians(syncs),
                **{name: round(number / runs) for name, number in counted.items()},
            },
            "status": medians([far.pims("status") for _ in range(runs)]),
            "cases_list": medians(
                [far.pims("cases", "list", "--clinic", SLUG) for _ in range(runs)]
            ),
        }
    print(f"{delay_ms:g} ms: {medians(syncs)['seconds']:.1f} s", flush=True)
    return figures


def query_ms(between: Proxy) -> float:
    """How long a trivial query takes through the proxy, in milliseconds."""
    samples = []
    with psycopg.connect(between.url, autocommit=True) as connection:
        for _ in range(QUERIES):
            began = perf_counter()
            connection.execute("SELECT 1")
            samples.append(perf_counter() - began)
    return statistics.median(samples) * 1000


def medians(finished: list[Finished]) -> dict[str, float]:
    """The median wall and CPU time of a command."""
    return {
        "seconds": statistics.median(each.seconds for each in finished),
        "cpu_seconds": statistics.median(each.cpu_seconds for each in finished),
    }


if __name__ == "__main__":
    main()
