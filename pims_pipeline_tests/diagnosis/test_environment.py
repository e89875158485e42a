"""The check of the settings: names of variables, never their values."""

from pims_pipeline.diagnosis.environment import settings_report
from pims_pipeline.domain.diagnosis.findings import DoctorFinding, FindingStatus

KNOWN = ("PIMS_DATABASE_URL", "PIMS_HOME", "LOG_LEVEL")


def test_each_wrong_variable_is_a_line() -> None:
    report = settings_report(
        problems=["PIMS_HOME must be a directory", "LOG_LEVEL must be INFO"],
        present=KNOWN,
        known=KNOWN,
    )

    assert [each.text for each in report.findings] == [
        "PIMS_HOME must be a directory",
        "LOG_LEVEL must be INFO",
    ]
    assert report.status is FindingStatus.FAILED


def test_a_misspelled_variable_is_a_warning_with_the_one_that_was_meant() -> None:
    report = settings_report(present=["PIMS_DATABSE_URL", "PATH"], known=KNOWN)

    assert report.findings == (
        DoctorFinding.warning(
            "PIMS_DATABSE_URL is no setting, and is not read",
            "write PIMS_DATABASE_URL, or unset it",
        ),
    )


def test_a_variable_like_no_other_is_a_warning_too() -> None:
    [finding] = settings_report(present=["PIMS_XYZZY"], known=["LOG_LEVEL"]).findings

    assert "see docs/settings.md" in finding.remedy


def test_an_ignored_variable_names_the_one_that_is_read() -> None:
    report = settings_report(ignored=[("HEADLESS", "PIMS_BROWSER_HEADLESS")], present=[], known=[])

    assert "PIMS_BROWSER_HEADLESS has another value" in report.findings[0].text
    assert report.status is FindingStatus.WARNING


def test_a_secret_s_file_that_all_may_read_is_a_warning() -> None:
    [finding] = settings_report(exposed=["ENCRYPTION_KEY_FILE"], present=[], known=[]).findings

    assert finding.status is FindingStatus.WARNING
    assert "ENCRYPTION_KEY_FILE" in finding.text
    assert "chmod 0400" in finding.remedy


def test_a_sound_environment_says_how_many_are_set() -> None:
    report = settings_report(present=["LOG_LEVEL", "PATH"], known=KNOWN)

    assert report.findings == (DoctorFinding.ok("1 variable is set"),)
