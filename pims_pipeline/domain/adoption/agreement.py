"""The counts of a comparison, and whether a clinic agrees enough to be switched.

Pure. The counts are kept in ``adoptions.last_diff`` and ``adoption_diffs``; they hold no ids and no
personal data. What is compared belongs in ``differences``.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pims_pipeline.domain.adoption.differences import Difference
from pims_pipeline.domain.clinics import DateRange


@dataclass(slots=True, kw_only=True)
class DiffCounts:
    """The counts of a comparison.

    Attributes:
        window: The business dates that were compared.
        is_synced_here: Whether the calendar was synced here since the clinic was adopted. Without
            that, our cases are copies of theirs, and agree with them whatever v4.0 did.
        compared: Appointments.
        differences: Those that count: not waiting, and not of a kind that stays.
        waiting: Those that the next sync of a side may remove.
        by_kind: All by kind, except those that wait.
    """

    window: DateRange
    is_synced_here: bool
    compared: int = 0
    differences: int = 0
    waiting: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, difference: Difference) -> None:
        """Count a difference."""
        if difference.is_waiting:
            self.waiting += 1
            return
        self.by_kind[difference.kind.value] += 1
        self.differences += difference.counts

    @property
    def summary(self) -> dict[str, Any]:
        """The counts, JSON-ready; what ``disagreement`` reads."""
        return {
            "from": self.window.start.isoformat(),
            "to": self.window.end.isoformat(),
            "syncedHere": self.is_synced_here,
            "compared": self.compared,
            "differences": self.differences,
            "waiting": self.waiting,
            "byKind": dict(sorted(self.by_kind.items())),
        }


def disagreement(summary: Mapping[str, Any] | None, accept: int = 0) -> str | None:
    """Why a clinic with this last comparison does not agree, in a few words; None if it does.

    Args:
        summary: ``DiffCounts.summary``, as stored; None if there was no comparison.
        accept: How many differences are accepted.

    Example:
        ``pims adopt switch`` refuses with it, and says how to compare again.
    """
    if summary is None:
        return "it was never compared"
    if summary.get("syncedHere") is not True:
        return "its calendar was not synced here before the last comparison"
    found = summary.get("differences")
    if not isinstance(found, int) or isinstance(found, bool):
        return "its last comparison cannot be read"
    if found > accept:
        return f"its last comparison found {found} differences, and {accept} are accepted"
    return None


def agrees(summary: Mapping[str, Any] | None, accept: int = 0) -> bool:
    """Whether a clinic with this last comparison has at most ``accept`` differences."""
    return disagreement(summary, accept) is None
