"""What syncs did on a day, in counts."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class DayActivity:
    """The audits that last changed on a day in UTC, of all phases.

    Attributes:
        failed: Those that were interrupted too.
        mean_seconds: Of those that ended; None if none did.
        longest_seconds: As above.
        changes: Cases created, updated, restored, retired and enriched.
    """

    day: date
    completed: int
    held: int
    failed: int
    mean_seconds: float | None
    longest_seconds: float | None
    changes: int
