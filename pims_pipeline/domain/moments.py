"""Which stored times are plausible: a time in the future was written by a wrong clock.

Pure. Add a rule here when a stored time decides something. Reading clocks belongs in
``pims_pipeline.store.database.clock`` and ``pims_pipeline.sync.clocks``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pims_pipeline.domain.errors import UserFacingError

MAX_SKEW = timedelta(seconds=30)
"""How far a host's clock may differ from the database's; beyond that, the host writes nothing."""

FUTURE_TOLERANCE = 2 * MAX_SKEW
"""How far after now a stored time may lie: the clocks of two hosts, each within ``MAX_SKEW`` of
the database's, differ by no more."""


class WrongClock(UserFacingError):
    """This host's clock and the database's differ by more than ``MAX_SKEW``."""


def latest_known(now: datetime) -> datetime:
    """The latest plausible time of a stored event at ``now`` (aware)."""
    return now + FUTURE_TOLERANCE


def is_in_future(moment: datetime, now: datetime) -> bool:
    """Whether a wrong clock must have written ``moment``; both aware."""
    return moment > latest_known(now)


def discard_future(moment: datetime | None, now: datetime) -> datetime | None:
    """``moment``, or None if it lies in the future; both aware.

    Example:
        ``discard_future(row.last_seen_at, now)`` is None when a clock that was ahead wrote it.
    """
    return None if moment is None or is_in_future(moment, now) else moment


def no_later_than(moment: datetime, now: datetime) -> datetime:
    """``moment``, or ``now`` if it lies in the future; both aware."""
    return now if is_in_future(moment, now) else moment


def age_of(moment: datetime, now: datetime) -> timedelta:
    """How long ago ``moment`` was, both aware; the maximum if it lies in the future.

    So a wait that counts from a wrong time ends now, not when that time comes.
    """
    return timedelta.max if is_in_future(moment, now) else now - moment


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """A reading of the database's clock between two readings of ours; all aware.

    Attributes:
        before: Our clock when the query was sent.
        database: The database's clock while the query ran.
        after: Our clock when the result came.
    """

    before: datetime
    database: datetime
    after: datetime

    @property
    def ahead(self) -> timedelta:
        """How far our clock is ahead of the database's, at least; negative when it is behind.

        Latency is not skew: a reading between ``before`` and ``after`` gives zero.
        """
        after = max(self.before, self.after)
        if self.database < self.before:
            return self.before - self.database
        return after - self.database if self.database > after else timedelta()

    @property
    def is_wrong(self) -> bool:
        """Whether one of the two clocks is certainly wrong."""
        return abs(self.ahead) > MAX_SKEW

    @property
    def problem(self) -> str:
        """Both times, and what to do; one line."""
        side = "ahead of" if self.ahead > timedelta() else "behind"
        return (
            f"this host's clock shows {_shown(self.before)} and is {_long(abs(self.ahead))} {side} "
            f"the database's, which shows {_shown(self.database)}; nothing was changed: set the "
            f"wrong clock right (NTP), they may be {MAX_SKEW.seconds} seconds apart at most"
        )

    def check(self) -> None:
        """Check that the two clocks agree.

        Raises:
            WrongClock: If they differ by more than ``MAX_SKEW``; the message shows both times.
        """
        if self.is_wrong:
            raise WrongClock(self.problem)


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _long(span: timedelta) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if span.total_seconds() >= 2 * size:
            return f"{round(span.total_seconds() / size)} {unit}"
    return f"{round(span.total_seconds())} seconds"
