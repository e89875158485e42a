"""The outcome of a phase and its receipt, which proves that every record read is accounted for.

Add a count here when a phase does something new with a record. How an outcome is stored belongs
in ``store.audits``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.oddities import Oddities


class AuditStatus(StrEnum):
    """The status of a phase over one window."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    HELD = "held"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What happened to the records of a window or of one of its dates.

    Attributes:
        found: Inbound: records in the listing. Cases: appointments whose consultation was due.
            Reconciliation: active cases checked against the calendar.
        deleted: Cases soft-deleted, unless they are left out.
        left_out: Inbound: appointments with resources that the clinic does not sync.
            Reconciliation: cases of such appointments, soft-deleted.
        held: Orphans that were not deleted, because of the deletion guard or a person's decision.
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
    left_out: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )

    @property
    def accounted_for(self) -> int:
        """How many records have a result; in a balanced receipt, as many as were found."""
        return sum(self.nonzero().values()) - self.found

    @property
    def is_balanced(self) -> bool:
        """Whether every record found has exactly one result."""
        return self.found == self.accounted_for

    def nonzero(self) -> dict[str, int]:
        """The counts other than zero, by name."""
        return {each.name: n for each in fields(self) if (n := getattr(self, each.name))}


def tally(results: Iterable[tuple[date, str]]) -> dict[date, Counts]:
    """The counts by date, from the date and the result (the name of its count) of each record."""
    by_date: dict[date, Counts] = {}
    for (day, result), number in Counter(results).items():
        by_date[day] = by_date.get(day, Counts()) + Counts(found=number, **{result: number})
    return by_date


class UnbalancedReceipt(UserFacingError):
    """A phase did not account for every record it read, which is a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseOutcome:
    """What one phase did to one clinic's window.

    Attributes:
        audit_id: The audit record; the ``syncId`` of the API.
        by_date: The counts of each business date of the window; zero for absent dates.
        changed_case_ids: Cases created, changed, enriched, retired or restored.
        deleted_case_ids: Cases retired, but for left-out ones; also in ``changed_case_ids``.
        unknown_statuses: Vendor words without a known case status.
        implausible_case_ids: Cases with implausible vitals.
        oddities: Descriptive vendor fields that could not be read.
        hold_id: The hold that the deletion guard opened, if it did.
        hold_reason: Why it did.
        kept_by_hold_id: The rejected hold that kept missing cases, if one did.
        changed_since: Aware UTC; if only what the vendor changed since then was fetched.

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
    changed_since: datetime | None = None
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
        """``held`` when the deletion guard opened a hold, else ``completed``."""
        return AuditStatus.HELD if self.hold_id else AuditStatus.COMPLETED
