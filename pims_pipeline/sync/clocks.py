"""The clock of a run: right when it starts, and steady from then on.

A run's moments order what it knows. So they are counted from the run's start by a clock that
nobody sets: an NTP correction, or a person with ``date``, in the middle of a run changes none.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from pims_pipeline.store.clock import utc_now


def elapsed() -> float:
    """Seconds that nobody sets; where the system can, those of its sleep count too."""
    # The monotonic clock stops while a machine sleeps; only Linux has one that goes on.
    which: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(which)


def steady_clock(
    wall: Callable[[], datetime] = utc_now, seconds: Callable[[], float] = elapsed
) -> Callable[[], datetime]:
    """A clock that starts at what ``wall`` shows now and never jumps or goes back.

    Check the wall clock first: see ``pims_pipeline.store.clock.check_clock``.
    """
    began, start = wall(), seconds()
    return lambda: began + timedelta(seconds=seconds() - start)
