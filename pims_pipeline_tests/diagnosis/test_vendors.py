"""The checks of vendors and logins: hosts that respond, stall, break off; a browser that starts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pims_pipeline.diagnosis import vendors
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.diagnosis.findings import FindingStatus
from pims_pipeline.providers.http.reachability import origin_of
from pims_pipeline.providers.options import LoginOptions, ProviderOptions
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline_tests.diagnosis.reports import report_of, statuses
from pims_pipeline_tests.providers.http.test_client import write_certificate
from pims_pipeline_tests.providers.odd_server import OddServer, Response, odd_server
from pims_pipeline_tests.providers.stalling_server import (
    Manner,
    dripping_body,
    dripping_headers,
    silence,
    stalling_server,
)

OK, WARNING, FAILED = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.FAILED


@pytest.fixture
def host() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendors, "HOST_SECONDS", 0.3)


def register(engine: Engine, slug: str, base_url: str, provider: str = "idexx_neo") -> None:
    with transaction(engine) as connection:
        add_clinic(
            connection,
            slug=slug,
            name=slug.title(),
            timezone="UTC",
            provider_type=provider,
            provider_base_url=base_url,
        )


def test_a_host_is_asked_once_for_its_first_page_without_a_login(
    installation: CheckedInstallation, engine: Engine, host: OddServer
) -> None:
    register(engine, "elm-street", f"{host.base_url}/practice/1")
    register(engine, "oak-street", f"{host.base_url}/practice/2")
    report = report_of(installation, "vendors")

    assert statuses(report) == [OK]
    assert report.findings[0].text == f"IDEXX Neo: {host.base_url} responded"
    assert host.paths == ["/"]
    assert not {"authorization", "cookie"} & host.headers[0].keys()


def test_each_provider_has_a_line(
    installation: CheckedInstallation, engine: Engine, host: OddServer
) -> None:
    host.responses = [Response(404)]
    register(engine, "elm-street", host.base_url)
    register(engine, "oak-street", f"{host.base_url}/graphql", "vetspire")
    report = report_of(installation, "vendors")

    assert [each.text.partition(":")[0] for each in report.findings] == ["IDEXX Neo", "Vetspire"]
    assert statuses(report) == [OK, OK]


def test_a_vendor_with_an_error_of_its_own_is_a_warning(
    installation: CheckedInstallation, engine: Engine, host: OddServer
) -> None:
    host.responses = [Response(503)]
    register(engine, "elm-street", host.base_url)

    assert statuses(report_of(installation, "vendors")) == [WARNING]


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("manner", [silence, dripping_headers, dripping_body])
def test_a_vendor_that_stalls_or_drips_is_reported_beside_the_others(
    installation: CheckedInstallation, engine: Engine, host: OddServer, manner: Manner
) -> None:
    with stalling_server(manner) as server:
        register(engine, "elm-street", server.base_url)
        register(engine, "oak-street", host.base_url)
        report = report_of(installation, "vendors")

    assert statuses(report) == [OK, FAILED]
    assert server.base_url in report.findings[1].text
    assert "no complete response within 0.3 seconds" in report.findings[1].text


def test_the_timeout_of_the_check_ends_its_requests(
    installation: CheckedInstallation, engine: Engine
) -> None:
    with stalling_server(dripping_body) as server:
        register(engine, "elm-street", server.base_url)
        report = report_of(installation, "vendors", seconds=0.3)

    assert [each.text for each in report.findings] == ["no result within 0.3 seconds"]


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("http://127.0.0.1:1", "could not be reached"),
        ("pims.example", "its address is not one"),
    ],
)
def test_a_host_that_is_not_there_fails(
    installation: CheckedInstallation, engine: Engine, base_url: str, problem: str
) -> None:
    register(engine, "elm-street", base_url)
    report = report_of(installation, "vendors")

    assert statuses(report) == [FAILED]
    assert problem in report.findings[0].text
    assert "HTTPS_PROXY" in report.findings[0].remedy


def test_a_certificate_that_is_not_trusted_is_named(
    installation: CheckedInstallation, engine: Engine, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    write_certificate(key, certificate)
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    with odd_server(certificate) as server:
        register(engine, "elm-street", server.base_url)
        report = report_of(installation, "vendors")

    assert statuses(report) == [FAILED]
    assert "its certificate is not trusted" in report.findings[0].text


def test_an_unknown_provider_fails_and_hides_no_other(
    installation: CheckedInstallation, engine: Engine, host: OddServer
) -> None:
    register(engine, "elm-street", host.base_url, "another_vendor")
    register(engine, "oak-street", host.base_url)

    assert statuses(report_of(installation, "vendors")) == [FAILED, OK]


def test_the_origin_has_no_user_and_no_path() -> None:
    assert origin_of("https://vet:secret@pims.example:8443/a?b=c") == "https://pims.example:8443"


def test_the_browser_starts_for_a_provider_that_logs_in_with_one(
    installation: CheckedInstallation, engine: Engine
) -> None:
    register(engine, "elm-street", "https://pims.example")
    register(engine, "oak-street", "https://pims.example", "vetspire")
    report = report_of(installation, "browser")

    assert statuses(report) == [OK, FindingStatus.SKIPPED]
    assert "Chromium" in report.findings[0].text
    assert "starts and opens a page" in report.findings[0].text


def test_a_browser_that_does_not_start_says_what_to_do(
    installation: CheckedInstallation, engine: Engine, tmp_path: Path
) -> None:
    login = LoginOptions(artifacts_dir=tmp_path, chromium_path=tmp_path / "chromium")
    register(engine, "elm-street", "https://pims.example")
    report = report_of(replace(installation, providers=ProviderOptions(login=login)), "browser")

    assert statuses(report) == [FAILED]
    assert "PIMS_CHROMIUM_PATH" in report.findings[0].text


def test_without_a_clinic_no_browser_starts(installation: CheckedInstallation) -> None:
    assert statuses(report_of(installation, "browser")) == [FindingStatus.SKIPPED]
