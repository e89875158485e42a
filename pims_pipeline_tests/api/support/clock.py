"""A clock that moves only when a test moves it."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class Clock:
    """Returns the same time until ``advance`` is called."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        """Move forward by ``duration``, as ``timedelta`` takes it."""
        self.now += timedelta(**duration)
