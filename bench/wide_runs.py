"""200 clinics due at the same tick, inbound of 8 days each, through Dagster's daemon.

The daemon ticks the sensor, queues the runs and launches a process for each. Measured are the
daemon, code server, runs and database, not the simulator. Prints CPU seconds per clinic and wall
time, from the tick until the last run has ended:

- with stored sessions, the usual case: 50 clinics a run, and one clinic a run to compare;
- without, when a browser logs each clinic in first.

Target: 2 CPU seconds per clinic, wide and with sessions.
Run with ``python bench/wide_runs.py``; it takes some minutes.
"""

from support.fleet import Fleet, fleet
from support.scheduled import log_in, sync_at_next_tick

from pims_pipeline.domain.clinics import Clinic

CLINICS = 200
FEW = 20


def measure(world: Fleet, label: str, clinics: list[Clinic], **settings: str) -> None:
    """Make the clinics due, and print the cost until the last run has ended."""
    cost = sync_at_next_tick(world, clinics, **settings)
    print(
        f"{label}: {cost.clinics} clinics in {cost.runs} runs\n"
        f"  {cost.a_clinic()}\n"
        f"  {cost.seconds:.0f} s from the tick to the end, "
        f"{cost.working_seconds:.0f} s of them at work",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    with fleet(CLINICS) as world:
        few = world.clinics[-FEW:]
        # The first sync inserts every appointment; later ones are the usual case.
        log_in(world, world.clinics[:-FEW])
        measure(world, "without sessions, first sync", few)
        log_in(world, few)
        measure(world, "first sync", world.clinics)
        measure(world, "usual sync", world.clinics)
        measure(world, "usual sync, one clinic a run", few, PIMS_CLINICS_PER_RUN="1")


if __name__ == "__main__":
    main()
