"""The receipt of a phase: proof that everything read is accounted for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.oddities import Oddities
from pims_pipeline.domain.phases import Phase


class AuditStatus(StrEnum):
    """How a phase over one window stands or ended."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    HELD = "held"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What happened to the records of a window or of one of its dates.

    Attributes:
        found: Inbound: records in the listing. Cases: visits whose consultation was due.
            Reconciliation: live cases checked against the diary.
        deleted: Cases soft-deleted.
        held: Orphans that were not deleted: by the deletion guard, or because a person decided so.
    """

    found: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    restored: int = 0
    blocked: int = 0
    quarantined: int = 0
    enriched: int = 0
    skipped: int = 0
    errored: int = 0
    deleted: int = 0
    held: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )

    @property
    def accounted_for(self) -> int:
        """Everything that has a fate; a balanced receipt has as much as was found."""
        return sum(self.nonzero().values()) - self.found

    @property
    def is_balanced(self) -> bool:
        """Whether every record found has exactly one fate."""
        return self.found == self.accounted_for

    def nonzero(self) -> dict[str, int]:
        """The counts that say something, by name."""
        return {each.name: n for each in fields(self) if (n := getattr(self, each.name))}


def tally(fates: Iterable[tuple[date, str]]) -> dict[date, Counts]:
    """The receipt by date of records found, each with its one fate by its count's name."""
    by_date: dict[date, Counts] = {}
    for (day, fate), number in Counter(fates).items():
        by_date[day] = by_date.get(day, Counts()) + Counts(found=number, **{fate: number})
    return by_date


class UnbalancedReceipt(UserFacingError):
    """A phase cannot say what became of everything it read: a bug, never bad luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseOutcome:
    """What one phase did to one clinic's window.

    Attributes:
        audit_id: The audit record; the ``syncId`` of the API.
        by_date: The counts of each business date of the window, absent dates being zero.
        changed_case_ids: Cases created, changed, enriched, retired or restored.
        deleted_case_ids: Cases retired, a part of the above.
        unknown_statuses: The vendor's words that no case status is known for.
        implausible_case_ids: Cases whose vitals no patient can have.
        oddities: Descriptive fields of the vendor's that could not be read.
        hold_id: The hold that stopped deletions, if the deletion guard struck.
        hold_reason: Why it struck.
        kept_by_hold_id: The rejected hold because of which missing cases stayed, if any did.

    Raises:
        UnbalancedReceipt: If a date's counts do not balance.
    """

    sync_type: Phase
    window: DateRange
    audit_id: UUID
    by_date: Mapping[date, Counts]
    duration_ms: int
    changed_case_ids: tuple[UUID, ...] = ()
    deleted_case_ids: tuple[UUID, ...] = ()
    unknown_statuses: tuple[str, ...] = ()
    implausible_case_ids: tuple[UUID, ...] = ()
    oddities: Oddities = ()
    hold_id: UUID | None = None
    hold_reason: str | None = None
    kept_by_hold_id: UUID | None = None
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        for day, counts in self.by_date.items():
            if not counts.is_balanced:
                raise UnbalancedReceipt(
                    f"{self.sync_type} of {day}: found {counts.found}, accounted for "
                    f"{counts.accounted_for} ({counts.nonzero()})"
                )
        object.__setattr__(self, "counts", sum(self.by_date.values(), Counts()))

    @property
    def status(self) -> AuditStatus:
        """``held`` when the deletion guard struck, else ``completed``."""
        return AuditStatus.HELD if self.hold_id else AuditStatus.COMPLETED
