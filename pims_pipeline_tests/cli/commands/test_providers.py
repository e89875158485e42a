"""``pims providers``: what is installed, and what is wrong with a package."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything
from pims_pipeline_tests.providers.packages import BROKEN, BROKEN_LINE, installed_beside


@pytest.fixture
def beside_a_broken_package() -> Iterator[None]:
    """A package that cannot be imported is installed too."""
    with installed_beside(BROKEN):
        yield


def test_a_provider_is_listed_with_the_fields_of_its_login(pims: Pims) -> None:
    listed = document(pims("providers", "list", "--json"))
    shown = document(pims("providers", "show", "idexx_neo", "--json"))

    assert listed["broken"] == []
    assert shown in listed["providers"]
    assert (shown["title"], shown["package"]) == ("IDEXX Neo", "pims-pipeline")
    assert {each["name"]: each["secret"] for each in shown["credentialFields"]} == {
        "company_id": False,
        "username": False,
        "password": True,
    }
    for printed in (pims("providers", "list"), pims("providers", "show", "idexx_neo")):
        assert printed.exit_code == 0
        assert "company_id" in printed.stdout


def test_a_provider_that_is_not_installed_is_refused_with_those_that_are(
    pims: Pims, engine: Engine
) -> None:
    before = everything(engine)
    add = ("clinics", "add", "elm", "--name=Elm", "--timezone=UTC", "--base-url=https://a.example")
    for words in (("providers", "show", "paper"), (*add, "--provider=paper")):
        done = pims(*words)
        assert done.exit_code == 2
        assert "unknown provider type 'paper'; known are: idexx_neo" in error_line(done)
    assert everything(engine) == before


@pytest.mark.usefixtures("beside_a_broken_package")
def test_a_broken_package_is_one_line_and_the_others_go_on(
    pims: Pims, registered: str, engine: Engine
) -> None:
    listed = pims("providers", "list")
    assert listed.exit_code == 0
    assert "idexx_neo" in listed.stdout
    assert listed.stderr == f"Warning: {BROKEN_LINE}\n"
    [broken] = document(pims("providers", "list", "--json"))["broken"]
    assert (broken["type"], broken["problem"]) == ("another_vendor", BROKEN_LINE.partition(": ")[2])

    before = everything(engine)
    add = ("clinics", "add", "elm", "--name=Elm", "--timezone=UTC", "--base-url=https://a.example")
    for words in (("providers", "show", "another_vendor"), (*add, "--provider=another_vendor")):
        done = pims(*words)
        assert done.exit_code == 1
        assert error_line(done) == f"Error: {BROKEN_LINE}"
    assert everything(engine) == before

    assert document(pims("status", "--json"))["clinics"][0]["slug"] == registered
    login = ("--username=demo", "--password-stdin")
    assert pims("credentials", "set", registered, *login, typed="x").exit_code == 0
    assert pims(*add, "--provider=idexx_neo").exit_code == 0
