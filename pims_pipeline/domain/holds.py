"""The statuses of a hold: deletions of a window that the deletion guard stopped.

Why the guard stops deletions is decided in ``reconciliation``; what a rejected hold means for
later syncs, in ``rejections``.
"""

from enum import StrEnum


class HoldStatus(StrEnum):
    """What became of a hold.

    Attributes:
        OPEN: It waits for a person.
        APPROVED: A person approved it, and its cases were retired.
        REJECTED: A person rejected it, and its cases stay.
        SUPERSEDED: A later sync of its window took its place.
    """

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
