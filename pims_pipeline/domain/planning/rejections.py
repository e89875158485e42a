"""Rejected holds that still count: a person decided to keep cases although they are missing.

Pure. A rejection counts for a case while the case is missing. It ends when the appointment is back:
a later loss is a new finding. A missing case that it does not name is a new finding too, and a
person must decide again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pims_pipeline.domain.moments import no_later_than


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A rejected hold that still counts.

    Attributes:
        reason: Why the deletion guard opened it; a value of ``HoldReason``.
        case_ids: The cases that stay.
        decided_at: Aware UTC. The appointment of a case seen in a later listing is back.
    """

    hold_id: UUID
    reason: str
    case_ids: frozenset[UUID]
    decided_at: datetime

    def as_of(self, now: datetime) -> "Rejection":
        """The rejection, decided no later than ``now`` (aware)."""
        return replace(self, decided_at=no_later_than(self.decided_at, now))

    def names(self, case_id: UUID) -> bool:
        """Whether the person's decision includes the case."""
        return case_id in self.case_ids

    def covers(self, case_id: UUID, last_seen_at: datetime | None) -> bool:
        """Whether the decision includes the case, and no later listing has shown it."""
        return self.names(case_id) and not (last_seen_at and last_seen_at > self.decided_at)


@dataclass(frozen=True, slots=True)
class RejectionEffect:
    """What rejections mean for the cases of a window.

    Attributes:
        covered: By case, the rejections that still count for it.
        ended: The cases that a rejection names and whose appointment is back.
    """

    covered: dict[UUID, list[Rejection]]
    ended: frozenset[UUID]

    def covers_all(self, case_ids: Collection[UUID], reason: str) -> bool:
        """Whether a person rejected the retirement of each of these cases for that reason."""
        return bool(case_ids) and all(
            any(each.reason == reason for each in self.covered.get(case_id, ()))
            for case_id in case_ids
        )

    def latest(self, case_ids: Iterable[UUID]) -> UUID | None:
        """The hold whose rejection keeps these cases; the latest where several do."""
        rejections = [each for case_id in case_ids for each in self.covered.get(case_id, ())]
        return max(rejections, key=lambda each: each.decided_at).hold_id if rejections else None


def effect_of(
    rejections: Collection[Rejection],
    seen: Iterable[tuple[UUID, datetime | None]],
    present: Collection[UUID],
) -> RejectionEffect:
    """What the rejections mean now.

    Args:
        rejections: The clinic's rejections that still count.
        seen: The window's active cases, each with the time of the latest listing that showed it.
        present: Those of them whose appointment is there now.
    """
    covered: dict[UUID, list[Rejection]] = {}
    ended: set[UUID] = set()
    for case_id, last_seen_at in seen:
        naming = [each for each in rejections if each.names(case_id)]
        counting = [each for each in naming if each.covers(case_id, last_seen_at)]
        if counting and case_id not in present:
            covered[case_id] = counting
        elif naming:
            ended.add(case_id)
    return RejectionEffect(covered, frozenset(ended))
