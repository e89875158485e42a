"""The suite notices providers that break a promise, and vendors that leave a condition out."""

from pathlib import Path

import pytest

from pims_pipeline.conformance import connections
from pims_pipeline.conformance.check import run_tests
from pims_pipeline.conformance.results import PromiseVerdict, result_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider-package"
SUITE = Path(__file__).with_name("broken_suite.py")


def test_every_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.setattr(connections, "DEADLINE_SECONDS", 1.5)
    from pims_pipeline_tests.conformance.broken_suite import BROKEN, NODES  # noqa: PLC0415

    collected = run_tests(*(f"{SUITE}::{node}" for node in NODES))

    assert collected.problem is None
    found = result_of(collected.reports).promises
    assert len(found) == len(BROKEN)
    assert [each for each in found if each.verdict is not PromiseVerdict.FAILED] == []
    unexplained = [
        (promise, result.why)
        for (promise, (_, message)), result in zip(BROKEN, found, strict=True)
        if message not in result.why
    ]
    assert unexplained == []
