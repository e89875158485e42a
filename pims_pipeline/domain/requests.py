"""The statuses of a sync that a client of the API requested.

What its run did is in the audits.
"""

from enum import StrEnum


class RequestStatus(StrEnum):
    """Whether the run of a sync that was requested is known.

    Attributes:
        LAUNCHING: Not yet.
        LAUNCHED: Yes.
    """

    LAUNCHING = "launching"
    LAUNCHED = "launched"
