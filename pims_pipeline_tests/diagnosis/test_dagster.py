"""The check of Dagster: over GraphQL where an address is configured, from its storage elsewhere."""

from dataclasses import replace

import pytest

from pims_pipeline.diagnosis import dagster
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import FindingStatus
from pims_pipeline.store.dagster.schema import dagster_storage_url
from pims_pipeline_tests.api.support.fake_dagster import FakeDagster, Mood
from pims_pipeline_tests.diagnosis.reports import report_of, statuses
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.providers.stalling_server import silence, stalling_server

OK, WARNING, FAILED = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.FAILED
HEARTBEAT = 1_770_000_000.5
"""The fake's."""


def test_a_webserver_with_code_location_and_daemon_is_fine(
    installation: CheckedInstallation,
) -> None:
    with FakeDagster() as fake:
        known = replace(installation, dagster_url=fake.url, clock=lambda: HEARTBEAT + 1)
        report = report_of(known, "dagster")

    assert statuses(report) == [OK, OK, OK]
    assert report.findings[-1].text == "the daemon's last heartbeat was 1 s ago"


def test_a_code_location_that_does_not_load_fails(installation: CheckedInstallation) -> None:
    with FakeDagster() as fake:
        fake.mood = Mood.REFUSES
        report = report_of(replace(installation, dagster_url=fake.url), "dagster")

    assert statuses(report) == [OK, FAILED]
    assert "has not loaded the code location" in report.findings[-1].text


def test_a_webserver_that_is_not_there_fails_without_its_password(
    installation: CheckedInstallation,
) -> None:
    url = "http://vet:password-of-ours@127.0.0.1:1"
    report = report_of(replace(installation, dagster_url=url), "dagster")

    assert statuses(report) == [FAILED]
    assert "DAGSTER_GRAPHQL_URL" in report.findings[0].text
    assert "password-of-ours" not in str(report)


def test_a_webserver_that_never_responds_is_reported(installation: CheckedInstallation) -> None:
    with stalling_server(silence) as server:
        report = report_of(
            replace(installation, dagster_url=server.base_url), "dagster", seconds=0.3
        )

    assert statuses(report) == [FAILED]


def test_a_direct_connection_suits_dagster_s_storage(
    installation: CheckedInstallation, database_url: str
) -> None:
    stored = replace(
        installation,
        dagster_storage_url=dagster_storage_url(database_url),
    )

    assert statuses(report_of(stored, "storage")) == [OK]


def test_a_pooler_in_transaction_mode_does_not_suit_dagster_s_storage(
    installation: CheckedInstallation, database_url: str
) -> None:
    with pgbouncer(database_url, size=1) as url:
        stored = replace(installation, dagster_storage_url=dagster_storage_url(url))
        [finding] = report_of(stored, "storage").findings

    assert finding.status is FAILED
    assert "session mode" in finding.text


def test_a_storage_that_is_not_there_is_one_line_without_its_password(
    installation: CheckedInstallation, caplog: pytest.LogCaptureFixture
) -> None:
    url = dagster_storage_url("postgresql://vet:password-of-ours@127.0.0.1:1/pims")
    [finding] = report_of(replace(installation, dagster_storage_url=url), "storage").findings

    assert finding.status is FAILED
    assert "cannot reach database" in finding.text
    assert "password-of-ours" not in finding.text
    assert caplog.records == []


def test_a_storage_whose_schema_is_missing_is_named(
    installation: CheckedInstallation, empty_database_url: str
) -> None:
    stored = replace(
        installation,
        dagster_storage_url=dagster_storage_url(empty_database_url),
        shares_dagster_storage=False,
    )
    [finding] = report_of(stored, "storage").findings

    assert finding.status is FAILED
    assert "there is no schema 'dagster'" in finding.text


def test_without_an_address_the_storage_shows_that_no_daemon_ever_ran(
    installation: CheckedInstallation, database_url: str
) -> None:
    stored = replace(installation, dagster_storage_url=dagster_storage_url(database_url))
    report = report_of(stored, "dagster")

    assert statuses(report) == [WARNING, FindingStatus.SKIPPED]
    assert "never run" in report.findings[0].text


@pytest.mark.parametrize(("expected", "status"), [(True, FAILED), (False, WARNING)])
def test_an_old_heartbeat_fails_where_a_daemon_is_expected(
    status: FindingStatus, *, expected: bool
) -> None:
    found = dagster.daemon(0.0, dagster.OLD_SECONDS, is_expected=expected)

    assert found.status is status
    assert "no schedule" in found.text


def test_a_heartbeat_ahead_of_our_clock_is_recent() -> None:
    assert dagster.daemon(10.0, 0.0, is_expected=True).status is OK
