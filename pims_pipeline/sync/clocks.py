"""The clock of a run: correct at its start, and steady from then on.

A run's times order its changes. So they are counted from its start by a clock that cannot be set:
neither NTP nor ``date`` changes them during the run. Checks of the host's clock belong in
``pims_pipeline.store.database.clock``.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from pims_pipeline.store.database.clock import utc_now


def elapsed() -> float:
    """Seconds of a clock that cannot be set; if the system supports it, including its sleep."""
    # The monotonic clock stops while a machine sleeps; only Linux has one that continues.
    which: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(which)


def steady_clock(
    wall: Callable[[], datetime] = utc_now, seconds: Callable[[], float] = elapsed
) -> Callable[[], datetime]:
    """A clock that starts at the present time of ``wall`` and never jumps or goes back.

    Check the wall clock first: see ``pims_pipeline.store.database.clock.check_clock``.
    """
    began, start = wall(), seconds()
    return lambda: began + timedelta(seconds=seconds() - start)
