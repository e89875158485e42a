"""The time of the loops that run logins, which a test moves instead of waiting."""

import time
from asyncio import BaseEventLoop

from pims_pipeline.providers.idexx_neo.login.environment import BareLoop


class LoopClock:
    """The time that every ``BareLoop`` reads; the driver's and the threads' time goes on as ever.

    It stays until the process ends: at a time that goes back, the timers of a loop that still runs
    would be far ahead.
    """

    def __init__(self) -> None:
        ahead = self._ahead = [0.0]

        def read(_: BaseEventLoop) -> float:
            return time.monotonic() + ahead[0]

        BareLoop.time = read  # type: ignore[assignment, method-assign]  # asyncio has no other way

    def forward(self, seconds: float) -> None:
        """Let so many seconds pass at once; never back."""
        self._ahead[0] += max(seconds, 0.0)
