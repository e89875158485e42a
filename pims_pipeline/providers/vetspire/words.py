"""The vendor's status words. A clinic's appointment types have names of its own, as everywhere."""

from collections.abc import Mapping

from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus

STATUS_WORDS: Mapping[str, CaseStatus] = {
    "PLANNED": CaseStatus.DRAFT,
    "CONFIRMED": CaseStatus.DRAFT,
    "CHECKED_IN": CaseStatus.ONGOING,
    "IN_PROGRESS": CaseStatus.ONGOING,
    "CHECKING_OUT": CaseStatus.ONGOING,
    "CHECKED_OUT": CaseStatus.COMPLETED,
    "COMPLETED": CaseStatus.COMPLETED,
    "CANCELLED": CaseStatus.REVIEWED,
    "NO_SHOW": CaseStatus.REVIEWED,
}
"""In any spelling: the vendor's own pages write "Checked-in"."""

WORDS = DEFAULT_WORDS.adding(STATUS_WORDS)
"""What words mean at every clinic with this vendor."""
