"""``pims providers report``: the file to share, and what it never holds or replaces."""

import json
import stat
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.shapes import Endpoint, shapes_of
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.shapes.writing import add_shapes
from pims_pipeline_tests.cli.invocation import Pims, document, error_line, everything
from pims_pipeline_tests.providers.packages import BROKEN, installed_beside


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def seen(engine: Engine, clinic: Clinic) -> Clinic:
    """The clinic, after its vendor sent a listing."""
    shapes = shapes_of(Endpoint.LISTING, [{"id": 1}, {"id": None}], {"id"})
    with transaction(engine) as connection:
        add_shapes(connection, clinic, shapes, utc_now())
    return clinic


def test_the_file_holds_paths_types_and_counts_by_week(pims: Pims, seen: Clinic) -> None:
    done = pims("providers", "report", seen.slug)
    assert done.stdout == ("Wrote vendor-shapes-idexx_neo.json: 3 paths of idexx_neo, no values.\n")
    written = Path("vendor-shapes-idexx_neo.json")
    report = json.loads(written.read_text())
    [array, record, null, number] = report.pop("shapes")
    assert report.pop("adapterVersion")
    assert report == {
        "format": "pims-vendor-shapes-1",
        "provider": "idexx_neo",
        "adapter": "pims-pipeline",
        "isComplete": True,
    }
    assert (null["path"], null["jsonType"]) == ("listing[].id", "null")
    assert [each["weeks"][0]["count"] for each in (array, record, null, number)] == [1, 2, 1, 1]
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    for secret in (seen.slug, str(seen.id), seen.name):
        assert secret not in written.read_text()


@pytest.mark.parametrize(
    ("provider_type", "package"),
    [
        ("vetspire", f"pims-pipeline {version('pims-pipeline')}"),
        (BROKEN.name, "no_such_package_at_all.description unknown"),
    ],
)
def test_the_package_is_the_one_of_the_clinic_s_provider(
    pims: Pims, engine: Engine, clinic: Clinic, provider_type: str, package: str
) -> None:
    with transaction(engine) as connection:
        connection.execute(text("UPDATE clinics SET provider_type = :it"), {"it": provider_type})
        theirs = replace(clinic, provider_type=provider_type)
        add_shapes(connection, theirs, shapes_of(Endpoint.LISTING, []), utc_now())
    with installed_beside(BROKEN):
        report = document(pims("providers", "report", clinic.slug, "--json"))
    assert report["provider"] == provider_type
    assert f"{report['adapter']} {report['adapterVersion']}" == package


def test_the_clinic_is_named_if_wanted_and_json_is_printed(pims: Pims, seen: Clinic) -> None:
    report = document(pims("providers", "report", seen.slug, "--json", "--with-clinic"))
    assert report["clinic"] == seen.slug
    assert list(Path().glob("*.json")) == []


def test_a_file_that_exists_is_replaced_only_by_force(pims: Pims, seen: Clinic) -> None:
    mine = Path("mine.json")
    mine.write_text("mine")
    command = ("providers", "report", seen.slug, "--output", "mine.json")
    assert error_line(pims(*command)) == (
        "Error: mine.json exists; name another file with --output, or replace it with --force"
    )
    assert mine.read_text() == "mine"
    assert pims(*command, "--force").exit_code == 0
    assert json.loads(mine.read_text())["provider"] == "idexx_neo"
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600


def test_a_link_is_not_followed(pims: Pims, seen: Clinic) -> None:
    target, link = Path("target"), Path("link.json")
    link.symlink_to(target)
    command = ("providers", "report", seen.slug, "--output", "link.json")
    assert "link.json exists" in error_line(pims(*command))
    assert pims(*command, "--force").exit_code == 0
    assert not target.exists()
    assert not link.is_symlink()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_directory_that_is_not_there_is_named(pims: Pims, seen: Clinic, force: list[str]) -> None:
    command = ("providers", "report", seen.slug, "--output", "no/where.json", *force)
    assert error_line(pims(*command)) == (
        "Error: cannot write no/where.json (no such file or directory); name another file with "
        "--output"
    )


def test_a_clinic_without_shapes_or_an_unknown_one_writes_nothing(
    pims: Pims, engine: Engine, clinic: Clinic
) -> None:
    before = everything(engine)
    assert "has been seen yet; run `pims sync full" in error_line(
        pims("providers", "report", clinic.slug)
    )
    assert "nowhere" in error_line(pims("providers", "report", "nowhere"))
    assert list(Path().glob("*.json")) == []
    assert everything(engine) == before


def test_json_and_a_file_are_not_wanted_together(pims: Pims, seen: Clinic) -> None:
    assert "writes no file" in error_line(
        pims("providers", "report", seen.slug, "--json", "--output", "x.json")
    )
