"""The usual scheduled inbound of 50 to 2,000 clinics, and how its cost grows with their number.

One installation grows: clinics are added, synced for the first time, and then all clinics are due
at the same tick. Sessions are stored, so no browser starts. The vendor is one simulator that takes
50 ms for each response; it is not measured, while Dagster's daemon, code server, runs and the
database are. ``exponent`` is the slope of the fit in logarithms: 1 is linear.
Run with ``make bench-scale``, or with fewer clinics: ``make bench-scale CLINICS="50 200"``.
"""

import json
from itertools import pairwise

from support.fleet import Fleet, fleet
from support.growth import exponent
from support.results import parser, report
from support.scheduled import Cost, log_in, sync_at_next_tick

LATENCY_SECONDS = 0.05
SIZES = (50, 200, 500, 1000, 2000)


def main() -> None:
    """Measure, print and keep."""
    options = parser(__doc__)
    options.add_argument("--clinics", type=int, nargs="+", default=list(SIZES), metavar="N")
    arguments = options.parse_args()
    sizes = sorted(arguments.clinics)
    with fleet(0, vendor_clinics=sizes[-1], latency_seconds=LATENCY_SECONDS) as world:
        measured = [at_size(world, added=size - before) for before, size in pairwise([0, *sizes])]
    figures = {
        "sizes": measured,
        "exponent": {
            name: exponent([(each["clinics"], each[name] * each["clinics"]) for each in measured])
            for name in ("cpu_seconds", "seconds")
            if len(measured) > 1
        },
    }
    report("scale", "make bench-scale", figures, arguments)


def at_size(world: Fleet, *, added: int) -> dict[str, float]:
    """Add clinics, and measure one tick of them all; figures are per clinic."""
    new = world.add(added)
    log_in(world, new)
    first = sync_at_next_tick(world, new)
    log_in(world, world.clinics)
    usual = sync_at_next_tick(world, world.clinics)
    figures = {"clinics": usual.clinics, "runs": usual.runs, **costs(usual)}
    figures["first_cpu_seconds"] = first.used.total / first.clinics
    print(json.dumps(figures), flush=True)
    return figures


def costs(cost: Cost) -> dict[str, float]:
    """The figures of one clinic."""
    number = cost.clinics
    return {
        "cpu_seconds": cost.used.total / number,
        "dagster_cpu_seconds": cost.used.dagster / number,
        "postgres_cpu_seconds": cost.used.postgres / number,
        "seconds": cost.seconds / number,
    }


if __name__ == "__main__":
    main()
