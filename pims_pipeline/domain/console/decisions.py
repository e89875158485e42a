"""What operators decide in the console, and what the log keeps of it.

Who may decide is in ``operators``; carrying a decision out belongs in ``operations/console/``.
"""

from typing import Final

from pims_pipeline.domain.console.operators import OperatorAction
from pims_pipeline.domain.errors import UserFacingError

DECISIONS: Final = (
    OperatorAction.HOLD_APPROVED,
    OperatorAction.HOLD_REJECTED,
    OperatorAction.HOLD_REOPENED,
    OperatorAction.FAILURE_RETRIED,
    OperatorAction.SCHEDULE_CHANGED,
    OperatorAction.SYNC_STARTED,
)
"""The actions that change something, unlike looks and sign-ins."""
LONGEST_REASON: Final = 500


class BadReason(UserFacingError, ValueError):
    """A decision without the reason that it needs, or with one that is too long."""


def checked_reason(text: str) -> str:
    """The reason of a decision, on one line.

    Example:
        >>> checked_reason("  closed   on Monday ")
        'closed on Monday'

    Raises:
        BadReason: If it is empty or too long.
    """
    reason = optional_reason(text)
    if not reason:
        raise BadReason("give a reason: the log keeps it with the decision")
    return reason


def optional_reason(text: str) -> str:
    """The same for a decision that needs none; empty without one.

    Raises:
        BadReason: If it is too long.
    """
    # The database keeps no NUL character.
    reason = " ".join(text.replace("\0", "").split())
    if len(reason) > LONGEST_REASON:
        raise BadReason(f"a reason has at most {LONGEST_REASON} characters")
    return reason
