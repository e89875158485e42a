"""When a delivery to a webhook is tried again, and when no more."""

from datetime import timedelta
from enum import StrEnum

GIVE_UP_AFTER = timedelta(days=3)
"""How long a message is retried before its webhook is disabled."""
REST_AFTER = 5
"""How many messages in a row must fail at their first attempt until a webhook gets one message at a
time, with growing pauses."""
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=6)
_GROWTH = 4
_MOST_STEPS = 10
"""More would only make a larger number than the longest pause."""


class WebhookStatus(StrEnum):
    """Whether messages are sent to a webhook."""

    ACTIVE = "active"
    DISABLED = "disabled"


def pause_after(attempts: int, chance: float, wanted: float | None = None) -> timedelta:
    """How long to wait after the given number of failed attempts.

    Five seconds, then four times as long each time, up to six hours; a fifth more or less, so that
    messages that failed together are not all sent together again.

    Args:
        attempts: One or more.
        chance: From 0 to 1; spreads the pauses.
        wanted: The seconds of the receiver's ``Retry-After``, if it sent one; it is respected up
            to the longest pause.
    """
    steps = min(attempts - 1, _MOST_STEPS)
    growth: int = _GROWTH**steps
    pause = min(_FIRST_PAUSE * growth, _LONGEST_PAUSE) * (0.8 + 0.4 * chance)
    return max(pause, wanted_pause(wanted or 0))


def wanted_pause(seconds: float) -> timedelta:
    """The pause that a receiver asks for, up to the longest."""
    return timedelta(seconds=min(seconds, _LONGEST_PAUSE.total_seconds()))
