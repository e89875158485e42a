"""What people are alerted to, and when an alert starts and ends.

How they are told stands in ``observability/alerts.py``.
"""

from enum import StrEnum


class AlertKind(StrEnum):
    """What is wrong with a clinic."""

    FAILING = "failing"
    OVERDUE = "overdue"
    CREDENTIALS_REJECTED = "credentials_rejected"
    HUMAN_NEEDED = "human_needed"
    HOLD = "hold"
    DEAD_LETTER = "dead_letter"
    BAD_SCHEDULE = "bad_schedule"
