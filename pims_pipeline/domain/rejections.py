"""Rejected holds that still count: a person decided that cases stay, although they are missing.

Pure. A rejection counts for a case for as long as the case is missing. It ends for a case whose
appointment is there again, so that a later loss is a new finding. It covers fewer missing cases
than it names, and no others: one more is a new finding, and a person is asked again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pims_pipeline.domain.moments import no_later_than


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A hold that a person rejected, as far as it still counts.

    Attributes:
        reason: Why the deletion guard struck; a value of ``HoldReason``.
        case_ids: The cases that stay.
        decided_at: Aware UTC. A case seen in a listing since then is there again.
    """

    hold_id: UUID
    reason: str
    case_ids: frozenset[UUID]
    decided_at: datetime

    def as_of(self, now: datetime) -> "Rejection":
        """The rejection, decided no later than ``now`` (aware)."""
        return replace(self, decided_at=no_later_than(self.decided_at, now))

    def names(self, case_id: UUID) -> bool:
        """Whether the case was among those that the person decided on."""
        return case_id in self.case_ids

    def covers(self, case_id: UUID, last_seen_at: datetime | None) -> bool:
        """Whether the case was decided on and has not been seen in a listing since."""
        return self.names(case_id) and not (last_seen_at and last_seen_at > self.decided_at)


@dataclass(frozen=True, slots=True)
class Decided:
    """What rejections mean for the cases of a window.

    Attributes:
        covered: By case, the rejections that still count for it.
        ended: The cases that a rejection names and that are there again.
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


def decided_on(
    rejections: Collection[Rejection],
    seen: Iterable[tuple[UUID, datetime | None]],
    present: Collection[UUID],
) -> Decided:
    """What the rejections mean now.

    Args:
        rejections: Those of the clinic that still count.
        seen: The window's active cases, with the latest listing that held each.
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
    return Decided(covered, frozenset(ended))
