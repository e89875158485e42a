"""The responses to probes, the service card, and what ``pims doctor`` found."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from pims_pipeline.domain.diagnosis.findings import (
    CheckReport,
    DoctorFinding,
    FindingStatus,
    failed_checks,
)
from pims_pipeline.wire.shape import LEFT_OUT_IF_NONE, Model, Timestamp


class HealthCheck(Model):
    """What is known of one check: ``unknown`` if it has not responded yet."""

    name: str
    status: Literal["ok", "failed", "unknown"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Health(Model):
    """The response of ``/health``: the process is alive, whatever the checks say."""

    status: Literal["healthy"]
    service: str
    version: str
    timestamp: Timestamp
    # As the v4.0 service named it.
    uptime_seconds: Annotated[int, Field(alias="uptime_seconds")]
    checks: list[HealthCheck]


class ServiceCard(Model):
    """The response of ``/``: what answers here, and where its documentation is."""

    service: str
    version: str
    description: str
    links: dict[str, str]
    timestamp: Timestamp


class Check(Model):
    """The result of one check; ``detail`` is why it failed."""

    status: Literal["ok", "failed"]
    detail: Annotated[str | None, LEFT_OUT_IF_NONE] = None


class Ready(Model):
    """The response of ``/ready``: ``ready`` if all checks are ``ok``."""

    ready: bool
    checks: dict[str, Check]


class FindingDocument(Model):
    """One thing that a check found; ``remedy`` is what to do about it."""

    status: FindingStatus
    found: str
    remedy: Annotated[str | None, LEFT_OUT_IF_NONE] = None

    @classmethod
    def of(cls, finding: DoctorFinding) -> Self:
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
