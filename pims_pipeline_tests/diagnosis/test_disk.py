"""The check of the disk: places that can be written, with room."""

import os
from pathlib import Path

import pytest

from pims_pipeline.diagnosis import disk
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import FindingStatus
from pims_pipeline_tests.diagnosis.reports import report_of, statuses

OK, WARNING, FAILED = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.FAILED


def test_a_home_that_does_not_exist_yet_is_fine_and_is_not_created(
    installation: CheckedInstallation,
) -> None:
    report = report_of(installation, "disk")

    assert report.findings[0].text.startswith("home: ")
    assert not installation.home.exists()


def test_the_artifacts_are_counted(installation: CheckedInstallation) -> None:
    logins = installation.providers.login.artifacts_dir
    logins.mkdir(parents=True)
    (logins / "failed.png").write_bytes(b"x" * 1024 * 1024)
    report = report_of(installation, "disk")

    assert report.findings[-1].text == "artifacts: 1 file, 1.0 MiB"


def test_a_file_in_the_place_of_the_home_fails(installation: CheckedInstallation) -> None:
    installation.home.write_text("no directory")

    assert FAILED in statuses(report_of(installation, "disk"))


def test_a_place_that_cannot_be_written_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, whatever the mode.
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = disk.directory("home", tmp_path / "home")

    assert found.status is FAILED
    assert "cannot be written" in found.text


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (disk.FULL_BYTES - 1, FAILED),
        (disk.FULL_BYTES, WARNING),
        (disk.LOW_BYTES - 1, WARNING),
        (disk.LOW_BYTES, OK),
    ],
)
def test_a_full_disk_fails_and_one_that_is_nearly_full_warns(
    free: int, status: FindingStatus
) -> None:
    assert disk.room("home", free).status is status


def test_artifacts_that_take_a_gigabyte_are_a_warning() -> None:
    assert disk.kept(3, disk.MANY_BYTES - 1).status is OK
    assert disk.kept(3, disk.MANY_BYTES).status is WARNING
