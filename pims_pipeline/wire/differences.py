"""The JSON of ``pims adopt diff``: counts, and differences with ids, dates, status and type."""

from datetime import date
from typing import Self
from uuid import UUID

from pims_pipeline.adoption.comparison import Comparison
from pims_pipeline.domain.adoption.differences import Difference
from pims_pipeline.wire.adoptions import LayoutName, Mode
from pims_pipeline.wire.shape import Model


class DifferenceDocument(Model):
    """A difference of one appointment."""

    kind: str
    appointment_id: str
    business_date: date | None
    case_id: UUID | None
    their_case_id: UUID | None
    ours: str | None
    theirs: str | None
    hours: float | None
    zone: str | None
    is_waiting: bool
    counts: bool

    @classmethod
    def of(cls, difference: Difference) -> Self:
        """Build it from a difference."""
        return cls(
            kind=difference.kind.value,
            appointment_id=difference.appointment_id,
            business_date=difference.day,
            case_id=difference.case_id,
            their_case_id=difference.their_case_id,
            ours=difference.ours,
            theirs=difference.theirs,
            hours=difference.hours,
            zone=difference.zone,
            is_waiting=difference.is_waiting,
            counts=difference.counts,
        )


class ComparisonDocument(Model):
    """A comparison of an adopted clinic with its v4.0 installation."""

    clinic: str
    mode: Mode
    layout: LayoutName
    schema_name: str
    first_date: date
    last_date: date
    synced_here: bool
    compared: int
    differences: int
    waiting: int
    by_kind: dict[str, int]
    found: list[DifferenceDocument]
    is_kept: bool

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """Build it from a comparison."""
        counts, adoption = comparison.counts, comparison.adoption
        return cls(
            clinic=comparison.clinic.slug,
            mode=adoption.mode,
            layout=adoption.layout,
            schema_name=adoption.their_schema,
            first_date=counts.window.start,
            last_date=counts.window.end,
            synced_here=counts.is_synced_here,
            compared=counts.compared,
            differences=counts.differences,
            waiting=counts.waiting,
            by_kind=dict(sorted(counts.by_kind.items())),
            found=[DifferenceDocument.of(each) for each in comparison.differences],
            is_kept=comparison.is_kept,
        )
