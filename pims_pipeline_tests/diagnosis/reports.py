"""Running one check of ``pims doctor`` in a test."""

from dataclasses import replace

from pims_pipeline.diagnosis.checking import diagnose
from pims_pipeline.diagnosis.checks import CHECKS
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import CheckReport, FindingStatus


def report_of(
    installation: CheckedInstallation, name: str, *, seconds: float | None = None
) -> CheckReport:
    """The report of one check, whatever it needs, with its own timeout or another."""
    [check] = [each for each in CHECKS if each.name == name]
    [report] = diagnose(installation, [replace(check, seconds=seconds or check.seconds)])
    return report


def statuses(report: CheckReport) -> list[FindingStatus]:
    """The statuses of its findings."""
    return [each.status for each in report.findings]
