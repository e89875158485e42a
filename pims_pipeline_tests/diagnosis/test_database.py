"""The checks of the database: rights, clock, latency, poolers, tables, and one that hangs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from pims_pipeline.diagnosis import database
from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.addresses.parsing import parse_database_address
from pims_pipeline.domain.diagnosis.findings import DoctorFinding, FindingStatus
from pims_pipeline.domain.moments import ClockReading
from pims_pipeline.store.database.engine import (
    address_of,
    create_engine,
    schema_of,
    transaction,
)
from pims_pipeline.store.database.tenancy import let_api_log_in
from pims_pipeline.store.diagnosis.pooling import Pooling, pooling_of
from pims_pipeline.store.diagnosis.server import ServerFacts, server_facts
from pims_pipeline_tests.diagnosis.reports import report_of
from pims_pipeline_tests.pgbouncer import pgbouncer
from pims_pipeline_tests.providers.stalling_server import silence, stalling_server

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
IN_TIME = ClockReading(before=NOW, database=NOW, after=NOW)
FACTS = ServerFacts(
    version="16.4",
    may_create=True,
    missing_rights=(),
    clock=IN_TIME,
    connect_seconds=0.02,
    latency_seconds=0.001,
)


def test_a_sound_database_has_no_warning(installation: CheckedInstallation) -> None:
    reports = [report_of(installation, name) for name in ("database", "migrations")]

    assert [each.status for each in reports] == [FindingStatus.OK, FindingStatus.OK]
    assert any("no pooler" in each.text for each in reports[0].findings)


def test_the_database_of_another_program_is_not_migrated(
    installation: CheckedInstallation, empty_database_url: str
) -> None:
    engine = create_engine(empty_database_url)
    try:
        empty = replace(installation, engine=engine)
        assert report_of(empty, "database").status is FindingStatus.OK
        report = report_of(empty, "migrations")
    finally:
        engine.dispose()

    assert report.status is FindingStatus.FAILED
    assert "run `pims migrate`" in report.findings[0].text


def test_a_login_without_rights_names_the_tables(engine: Engine) -> None:
    schema = schema_of(engine)
    with transaction(engine) as connection:
        connection.execute(text("CREATE ROLE pims_doctor LOGIN"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO pims_doctor"))
        connection.execute(text("GRANT SELECT ON clinics TO pims_doctor"))
    address = replace(parse_database_address(address_of(engine)), user="pims_doctor")
    theirs = create_engine(address.as_setting())
    try:
        facts = server_facts(theirs)
    finally:
        theirs.dispose()
        with transaction(engine) as connection:
            connection.execute(text("DROP OWNED BY pims_doctor"))
            connection.execute(text("DROP ROLE pims_doctor"))

    assert {"cases", "clinics", "pims_credentials"} <= set(facts.missing_rights)
    assert not facts.may_create


def test_missing_rights_are_a_failure_that_names_a_few_tables() -> None:
    lacking = replace(FACTS, missing_rights=tuple(f"table_{each}" for each in range(7)))
    found = database.rights(lacking)

    assert found.status is FindingStatus.FAILED
    assert "table_4 and 2 more" in found.text
    assert "pims_grant_service()" in found.remedy


def test_a_login_that_may_create_nothing_still_syncs() -> None:
    found = database.rights(replace(FACTS, may_create=False))

    assert found.status is FindingStatus.OK
    assert "`pims migrate`" in found.text


def test_clocks_that_are_apart_are_a_failure() -> None:
    wrong = replace(IN_TIME, database=NOW - timedelta(minutes=5))

    assert database.clock(wrong).status is FindingStatus.FAILED
    assert database.clock(IN_TIME) == DoctorFinding.ok(
        "this host's clock is 0.0 s from the database's"
    )


def test_a_far_database_is_a_warning_with_what_it_costs() -> None:
    far = database.latency(replace(FACTS, latency_seconds=0.1))

    assert far.status is FindingStatus.WARNING
    assert "waits about 25.0 s" in far.text
    assert database.latency(FACTS).status is FindingStatus.OK


def test_the_clock_and_the_latency_come_from_the_server(engine: Engine) -> None:
    facts = server_facts(engine)

    assert not facts.clock.is_wrong
    assert 0 < facts.latency_seconds < facts.connect_seconds
    assert facts.missing_rights == ()


@pytest.mark.parametrize("size", [1, 3])
def test_a_pooler_in_transaction_mode_is_recognized(
    installation: CheckedInstallation, database_url: str, size: int
) -> None:
    with pgbouncer(database_url, size=size) as url:
        engine = create_engine(url)
        try:
            report = report_of(replace(installation, engine=engine), "database")
        finally:
            engine.dispose()

    assert report.status is FindingStatus.OK
    assert "transaction mode" in report.findings[-1].text


def test_a_pooler_in_session_mode_is_recognized(database_url: str) -> None:
    with pgbouncer(database_url, size=3, mode="session") as url:
        engine = create_engine(url)

        assert pooling_of(engine) is Pooling.SESSION


def test_a_direct_connection_has_no_pooler(engine: Engine) -> None:
    assert pooling_of(engine) is Pooling.NONE


def test_a_pooler_of_unknown_mode_is_a_warning() -> None:
    found = database.pooler(Pooling.UNKNOWN)

    assert found.status is FindingStatus.WARNING
    assert "PIMS_DATABASE_POOL_SIZE" in found.remedy


def test_a_database_that_accepts_and_never_responds_is_reported(
    installation: CheckedInstallation,
) -> None:
    with stalling_server(silence) as server:
        address = server.base_url.removeprefix("http://")
        engine = create_engine(f"postgresql://pims:password-of-ours@{address}/pims")
        report = report_of(replace(installation, engine=engine), "database", seconds=0.3)

    assert [each.text for each in report.findings] == ["no result within 0.3 seconds"]
    assert "pg_stat_activity" in report.findings[0].remedy


def test_a_pooler_without_a_free_connection_is_reported(
    installation: CheckedInstallation, database_url: str
) -> None:
    with pgbouncer(database_url, size=1, mode="session") as url:
        of_another_client, engine = create_engine(url), create_engine(url)
        with of_another_client.connect():
            report = report_of(replace(installation, engine=engine), "database", seconds=0.3)
        of_another_client.dispose()

    assert [each.text for each in report.findings] == ["no result within 0.3 seconds"]


def test_an_unreachable_database_shows_no_password(installation: CheckedInstallation) -> None:
    engine = create_engine("postgresql://pims:password-of-ours@127.0.0.1:1/pims")
    report = report_of(replace(installation, engine=engine), "database")

    assert report.status is FindingStatus.FAILED
    assert "cannot reach database" in report.findings[0].text
    assert "password-of-ours" not in str(report)


def test_an_api_s_login_without_the_console_s_role_is_a_warning(
    installation: CheckedInstallation, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_engine = create_engine(let_api_log_in(engine))
    apis = replace(installation, api_engine=api_engine)
    assert report_of(apis, "api").status is FindingStatus.OK
    # Roles belong to the whole server, which other tests use.
    monkeypatch.setattr(database, "has_console_role", lambda _: False)

    report = report_of(apis, "api")

    api_engine.dispose()
    assert report.status is FindingStatus.WARNING
    assert "may not take the role" in report.findings[-1].text


def test_the_address_of_the_api_s_login_is_checked_too(
    installation: CheckedInstallation, engine: Engine
) -> None:
    # The owner's own login, which sees every clinic.
    report = report_of(replace(installation, api_engine=create_engine(address_of(engine))), "api")

    assert report.status is FindingStatus.FAILED
    assert "the API may not work as" in report.findings[-1].text
