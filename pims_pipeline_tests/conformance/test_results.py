"""From pytest's reports to promises that are kept, broken or not applicable."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from pims_pipeline.conformance.results import (
    NOT_APPLICABLE,
    PromiseResult,
    PromiseVerdict,
    SuiteResult,
    result_of,
    sentence_of,
)


@dataclass
class FakeReport:
    nodeid: str
    outcome: str = "passed"
    when: str | None = "call"
    user_properties: list[tuple[str, Any]] = field(default_factory=list)
    longreprtext: str = ""


@pytest.mark.parametrize(
    ("nodeid", "sentence"),
    [
        ("a.py::TestOne::test_a_moved_one_is_listed", ("a moved one is listed", "")),
        ("a.py::TestOne::test_a_fault[cut_off-listing]", ("a fault", "cut_off-listing")),
        ("TestOne::test_the_clinic_s_time_is_up[[]]", ("the clinic's time is up", "[]")),
        ("a.py::TestOne::test_it_is_the_appointment_s", ("it is the appointment's", "")),
        ("odd", ("odd", "")),
    ],
)
def test_a_promise_reads_as_a_sentence(nodeid: str, sentence: tuple[str, str]) -> None:
    assert sentence_of(nodeid) == sentence


def test_a_promise_passes_only_if_its_setup_and_its_teardown_do() -> None:
    def verdict(*outcomes: str) -> PromiseVerdict:
        reports = [FakeReport("T::test_x", outcome) for outcome in outcomes]
        [found] = result_of(reports).promises
        return found.verdict

    assert verdict("passed", "passed", "passed") is PromiseVerdict.PASSED
    assert verdict("failed") is PromiseVerdict.FAILED
    assert verdict("passed", "passed", "failed") is PromiseVerdict.FAILED
    assert verdict("passed", "skipped", "passed") is PromiseVerdict.FAILED


def test_what_is_not_applicable_is_neither_passed_nor_failed() -> None:
    reports = [FakeReport("T::test_x", user_properties=[(NOT_APPLICABLE, "one response")])]
    found = result_of(reports)
    assert found.promises == (
        PromiseResult("x", "", PromiseVerdict.NOT_APPLICABLE, "one response"),
    )
    assert not found.conforms, "nothing was tested"


def test_why_a_promise_is_broken_is_the_error_s_own_first_line() -> None:
    text = "def test_x():\n>   assert 1 == 2\nE   AssertionError: the first\nE   assert 1 == 2\n"
    found = result_of([FakeReport("T::test_x", "failed", longreprtext=text)])
    assert found.promises[0].why == "AssertionError: the first"
    assert result_of([FakeReport("T::test_x", "failed")]).promises[0].why == "no explanation"


def test_a_provider_conforms_if_no_promise_is_broken() -> None:
    kept = PromiseResult("x", "", PromiseVerdict.PASSED)
    broken = PromiseResult("y", "", PromiseVerdict.FAILED, "why")
    assert SuiteResult((kept,)).conforms
    assert not SuiteResult((kept, broken)).conforms
    assert not SuiteResult(()).conforms
