"""What the checks of the installation found."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

from pims_pipeline.domain.diagnosis import CheckReport, Finding, FindingStatus, failed_checks
from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model, Timestamp


class FindingDocument(Model):
    """One thing that a check found; ``remedy`` is what to do about it."""

    status: FindingStatus
    found: str
    remedy: Annotated[str | None, LEFT_OUT_IF_NONE] = None

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Build it from a finding."""
        return cls(status=finding.status, found=finding.text, remedy=finding.remedy or None)


class CheckDocument(Model):
    """One check: its worst status, how long it took, and what it found."""

    name: str
    status: FindingStatus
    seconds: float
    findings: list[FindingDocument]

    @classmethod
    def of(cls, report: CheckReport) -> Self:
        """Build it from a report."""
        return cls(
            name=report.name,
            status=report.status,
            seconds=round(report.seconds, 3),
            findings=[FindingDocument.of(each) for each in report.findings],
        )


class Diagnosis(Model):
    """All checks; ``ok`` if none failed."""

    ok: bool
    checks: list[CheckDocument]
    timestamp: Timestamp

    @classmethod
    def of(cls, reports: Iterable[CheckReport], now: datetime) -> Self:
        """Build it from the reports.

        Args:
            reports: In the order of the table.
            now: Aware; when they were made.
        """
        reports = tuple(reports)
        return cls(
            ok=not failed_checks(reports),
            checks=[CheckDocument.of(each) for each in reports],
            timestamp=now,
        )
