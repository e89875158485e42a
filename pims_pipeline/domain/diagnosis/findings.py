"""What an examination of the installation found: findings, by check, and whether it may run.

Pure. The checks themselves are in ``pims_pipeline.diagnosis``; the JSON is in ``wire.health``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FindingStatus(StrEnum):
    """How a part of the installation is; the last one that applies is a check's own."""

    SKIPPED = "skipped"
    """Not checked, because it is not used here, or depends on what failed."""
    OK = "ok"
    WARNING = "warning"
    """Works, but a person should look at it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that a check found. Holds no secret and no personal data.

    Attributes:
        status: How it is.
        text: What was found, as a sentence without its full stop.
        remedy: What an operator has to do; empty if nothing.
    """

    status: FindingStatus
    text: str
    remedy: str = ""

    @classmethod
    def ok(cls, text: str) -> "DoctorFinding":
        """A finding that needs nothing."""
        return cls(FindingStatus.OK, text)

    @classmethod
    def skipped(cls, text: str) -> "DoctorFinding":
        """Something was not checked; ``text`` says why."""
        return cls(FindingStatus.SKIPPED, text)

    @classmethod
    def warning(cls, text: str, remedy: str) -> "DoctorFinding":
        """A finding that does not stop the pipeline."""
        return cls(FindingStatus.WARNING, text, remedy)

    @classmethod
    def failed(cls, text: str, remedy: str = "") -> "DoctorFinding":
        """A finding with which the pipeline, or a part of it, cannot work."""
        return cls(FindingStatus.FAILED, text, remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What one check found.

    Attributes:
        name: Of the check.
        findings: In the order in which they were found.
        seconds: How long it took.
        is_complete: Whether it ran to its end; otherwise others that need it cannot run.
    """

    name: str
    findings: tuple[DoctorFinding, ...]
    seconds: float = 0.0
    is_complete: bool = True

    @property
    def status(self) -> FindingStatus:
        """The worst status of its findings."""
        order = list(FindingStatus)
        return max((each.status for each in self.findings), key=order.index)


def failed_checks(reports: Iterable[CheckReport]) -> tuple[str, ...]:
    """The names of the checks that failed; warnings do not count."""
    return tuple(each.name for each in reports if each.status is FindingStatus.FAILED)


def selected(names: Sequence[str], *, only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    """The checks to run, in the order of ``names``.

    Args:
        names: All of them.
        only: Those to run; all of them when empty.
        skip: Those not to run.
    """
    return tuple(each for each in names if (not only or each in only) and each not in skip)
