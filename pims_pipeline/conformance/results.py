"""The results of the suite: each promise kept, broken, or not applicable, and why.

Needs pytest's reports, and no pytest. Printing belongs to the command line.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

NOT_APPLICABLE = "conformance_not_applicable"
"""The name of the property of a test's report that holds the reason."""

_PARTS = re.compile(r"(?P<area>\w+)::test_(?P<name>\w+)(?:\[(?P<case>.*)\])?$", re.DOTALL)


class PromiseVerdict(StrEnum):
    """Whether the provider keeps a promise."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """The result of one promise.

    Attributes:
        promise: As a sentence.
        case: Which of several cases, such as ``listing``; empty if there is one.
        why: The reason, unless it passed. No personal data and no secrets.
    """

    promise: str
    case: str
    verdict: PromiseVerdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The results of a whole run, in the suite's order."""

    promises: tuple[PromiseResult, ...]

    def count(self, verdict: PromiseVerdict) -> int:
        """How many promises have the verdict."""
        return sum(each.verdict is verdict for each in self.promises)

    @property
    def conforms(self) -> bool:
        """Whether no promise is broken, and some were tested."""
        return self.count(PromiseVerdict.FAILED) == 0 and self.count(PromiseVerdict.PASSED) > 0


class Report(Protocol):
    """What is used of pytest's ``TestReport``."""

    nodeid: str
    when: str | None
    outcome: str
    user_properties: list[tuple[str, Any]]

    @property
    def longreprtext(self) -> str:
        """The failure's whole text."""
        ...


def result_of(reports: Iterable[Report]) -> SuiteResult:
    """The results of the tests that made ``reports``: of setup, call and teardown."""
    by_test: dict[str, list[Report]] = {}
    for report in reports:
        by_test.setdefault(report.nodeid, []).append(report)
    return SuiteResult(tuple(_promise(name, several) for name, several in by_test.items()))


def reason_of(properties: Iterable[tuple[str, object]]) -> str | None:
    """Why a promise is not applicable, by the properties of its report; None if it is."""
    found: Mapping[str, object] = dict(properties)
    reason = found.get(NOT_APPLICABLE)
    return None if reason is None else str(reason)


def _promise(nodeid: str, reports: list[Report]) -> PromiseResult:
    promise, case = sentence_of(nodeid)
    for report in reports:
        if report.outcome != "passed":
            why = _first_line(report.longreprtext)
            return PromiseResult(promise, case, PromiseVerdict.FAILED, why)
    reasons = [reason for each in reports if (reason := reason_of(each.user_properties))]
    if reasons:
        return PromiseResult(promise, case, PromiseVerdict.NOT_APPLICABLE, reasons[0])
    return PromiseResult(promise, case, PromiseVerdict.PASSED)


def sentence_of(nodeid: str) -> tuple[str, str]:
    """A test's name as a sentence, and its case."""
    match = _PARTS.search(nodeid)
    if match is None:
        return nodeid, ""
    words = match["name"].replace("_s_", "'s ").replace("_", " ")
    if words.endswith(" s"):
        words = f"{words[:-2]}'s"
    return words, match["case"] or ""


_BETWEEN_CAUSES = re.compile(
    r"^(?:The above exception was the direct cause|During handling of the above exception).*$",
    re.MULTILINE,
)


def _first_line(text: str) -> str:
    """The error's own first line, which pytest marks with ``E``; its causes come before."""
    text = _BETWEEN_CAUSES.split(text)[-1]
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    lines = marked or [line for line in text.splitlines() if line.strip()] or ["no explanation"]
    return lines[0]
