"""The statuses and the limit of a failure: a record that could not be read or fetched."""

from enum import StrEnum
from typing import Final

MAX_ATTEMPTS: Final = 8
"""How many failed fetches make a dead letter."""


class FailureStatus(StrEnum):
    """What becomes of a failure.

    Attributes:
        OPEN: Its record is retried: fetched later, or read again with its date.
        DEAD: A dead letter: only a person, or a change at the vendor, can resolve it.
        RESOLVED: Its record has succeeded since.
    """

    OPEN = "open"
    DEAD = "dead"
    RESOLVED = "resolved"
