"""What a provider is checked with, and what is said when it cannot be."""

import importlib.util
import os
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from pkgutil import resolve_name

import pytest

from pims_pipeline.conformance.check import CannotCheck, check_provider, run_tests
from pims_pipeline.conformance.results import PromiseVerdict, result_of
from pims_pipeline.providers.description import ProviderDescription
from pims_pipeline.providers.registry import registry
from pims_pipeline_tests.conformance.fake_vendor import FakeProviderVendor

FAKE = replace(
    FakeProviderVendor.description,
    conformance="pims_pipeline_tests.conformance.fake_vendor:FakeProviderVendor",
)


def test_a_provider_is_checked_with_the_vendor_of_its_description() -> None:
    result = check_provider(FAKE)
    assert result.conforms
    named = {(each.promise, each.case): each for each in result.promises}
    assert named["a restored appointment is listed again", ""].verdict is PromiseVerdict.PASSED
    paged = named["a listing of several pages is whole", ""]
    assert (paged.verdict, paged.why) == (
        PromiseVerdict.NOT_APPLICABLE,
        "the fake has no wire format",
    )


def test_every_built_in_provider_names_a_vendor_that_can_be_imported() -> None:

    for description in registry().installed().providers:
        assert resolve_name(description.conformance).description is description


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        (replace(FAKE, conformance=""), "the provider fake has no vendor to check it with"),
        (replace(FAKE, conformance="no_such.module:PlayedVendor"), "cannot be imported"),
        (replace(FAKE, conformance="pathlib:Path"), "is not a subclass of"),
        (replace(FAKE, type="other"), "is a vendor of the provider fake, not other"),
    ],
)
def test_a_vendor_that_cannot_be_used_is_named(
    description: ProviderDescription, problem: str
) -> None:
    with pytest.raises(CannotCheck, match=problem):
        check_provider(description)


def test_without_pytest_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = importlib.util.find_spec

    def missing(name: str) -> ModuleSpec | None:
        return None if name == "pytest" else found(name)

    monkeypatch.setattr("pims_pipeline.conformance.check.find_spec", missing)
    with pytest.raises(CannotCheck, match=r"pip install 'pims-pipeline\[conformance\]'"):
        check_provider(FAKE)


def test_what_the_environment_says_to_pytest_has_no_part_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing_of_the_suite")
    suite = Path(__file__).with_name("test_fake.py")
    collected = run_tests(f"{suite}::TestFake::test_closing_again_does_nothing")
    assert collected.problem is None
    assert len(result_of(collected.reports).promises) == 1
    assert os.environ["PYTEST_ADDOPTS"] == "-k nothing_of_the_suite"


def test_an_interrupted_suite_has_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest, "main", lambda *_, **__: pytest.ExitCode.INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        check_provider(FAKE)


def test_a_suite_that_cannot_be_collected_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pims_pipeline.conformance.check._SUITE", "no_such_suite")
    with pytest.raises(CannotCheck, match="the suite did not run for fake"):
        check_provider(FAKE)
