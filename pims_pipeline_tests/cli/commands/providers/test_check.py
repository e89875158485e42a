"""``pims providers check``: the results as a table, as JSON, and as an exit status."""

import pytest

from pims_pipeline.cli.commands.providers import check
from pims_pipeline.conformance.results import PromiseResult, PromiseVerdict, SuiteResult
from pims_pipeline_tests.cli.invocation import Pims, document, error_line

KEPT = (
    PromiseResult("a fault is an error", "listing", PromiseVerdict.PASSED),
    PromiseResult("a fault is an error", "lookup", PromiseVerdict.PASSED),
    PromiseResult("it pages", "", PromiseVerdict.NOT_APPLICABLE, "it is one response"),
)
BROKEN = (
    PromiseResult("a fault is an error", "listing", PromiseVerdict.PASSED),
    PromiseResult("a fault is an error", "lookup", PromiseVerdict.FAILED, "DID NOT RAISE"),
)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[PromiseResult]:
    """What the suite finds."""
    found: list[PromiseResult] = []
    monkeypatch.setattr(check, "check_provider", lambda _description: SuiteResult(tuple(found)))
    return found


def test_a_table_shows_each_promise_with_its_result_and_why(
    pims: Pims, results: list[PromiseResult]
) -> None:
    results += KEPT
    done = pims("providers", "check", "idexx_neo")
    assert done.exit_code == 0
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "Promise",
        "a fault is an error (2 cases)",
        "it pages",
        "2 passed, 0 failed, 1 not applicable",
    ]
    assert "not applicable  it is one response" in done.stdout


def test_a_broken_promise_is_a_row_of_its_own_and_fails(
    pims: Pims, results: list[PromiseResult]
) -> None:
    results += BROKEN
    done = pims("providers", "check", "idexx_neo")
    assert done.exit_code == 1
    assert error_line(done) == "Error: idexx_neo does not keep 1 of 2 promises"
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "a fault is an error (lookup) failed DID NOT RAISE" in rows
    assert "a fault is an error (listing) passed" in rows


def test_the_json_document_has_every_case(pims: Pims, results: list[PromiseResult]) -> None:
    results += KEPT
    found = document(pims("providers", "check", "idexx_neo", "--json"))
    assert (found["provider"], found["conforms"]) == ("idexx_neo", True)
    assert (found["passed"], found["failed"], found["notApplicable"]) == (2, 0, 1)
    assert found["promises"][2] == {
        "promise": "it pages",
        "case": None,
        "result": "not applicable",
        "why": "it is one response",
    }


def test_an_unknown_provider_is_refused(pims: Pims) -> None:
    done = pims("providers", "check", "paper")
    assert "unknown provider type 'paper'" in error_line(done)
