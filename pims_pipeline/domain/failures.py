"""The statuses of a failure: a record that could not be read or fetched."""

from enum import StrEnum

from pims_pipeline.domain.phases import Phase


class FailureStatus(StrEnum):
    """What becomes of a failure.

    Attributes:
        OPEN: Its record is tried again by itself: fetched later, or read with its date.
        DEAD: Its consultation is no longer requested by itself.
        RESOLVED: Its record has succeeded since.
    """

    OPEN = "open"
    DEAD = "dead"
    RESOLVED = "resolved"


def failure_status(phase: Phase, *, is_resolved: bool, has_retry: bool) -> FailureStatus:
    """The status of a failure of ``phase``.

    A record of the calendar is read again with every sync of its date, so only a consultation
    can be dead.

    Args:
        phase: The phase that failed on the record.
        is_resolved: Whether the record has succeeded since.
        has_retry: Whether a time to retry is set.
    """
    if is_resolved:
        return FailureStatus.RESOLVED
    is_dead = phase is Phase.CASES and not has_retry
    return FailureStatus.DEAD if is_dead else FailureStatus.OPEN
