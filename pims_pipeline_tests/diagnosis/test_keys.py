"""The check of the keys: it decrypts what is stored, counts, and logs each decryption."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from pims_pipeline.diagnosis.installation import CheckedInstallation
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.diagnosis.findings import FindingStatus
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import put_credentials
from pims_pipeline.store.secrets.sessions import put_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials
from pims_pipeline_tests.diagnosis.reports import report_of, statuses

OK, WARNING, FAILED = FindingStatus.OK, FindingStatus.WARNING, FindingStatus.FAILED
PASSWORD = "the-password-of-the-clinic"


@pytest.fixture
def stored(engine: Engine, vault: Vault, clinic: Clinic) -> Clinic:
    """A clinic with a login and a session."""
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {"username": "vet", "password": PASSWORD})
        put_session(
            connection,
            vault,
            clinic,
            data=b"cookie",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
    return clinic


def purposes(engine: Engine) -> list[str]:
    with transaction(engine) as connection:
        return list(connection.scalars(select(credential_access_log.c.purpose)))


@pytest.mark.usefixtures("stored")
def test_what_is_stored_is_decrypted_counted_and_logged(
    installation: CheckedInstallation, engine: Engine
) -> None:
    report = report_of(installation, "keys")

    assert [each.text for each in report.findings] == [
        "1 login decrypted",
        "1 session decrypted",
    ]
    assert PASSWORD not in str(report)
    assert purposes(engine) == ["doctor", "doctor"]


@pytest.mark.usefixtures("stored")
def test_a_key_that_is_gone_fails_for_logins_and_warns_for_sessions(
    installation: CheckedInstallation, engine: Engine
) -> None:
    another = replace(installation, open_vault=lambda: Vault(secrets.token_bytes(32)))
    report = report_of(another, "keys")

    assert statuses(report) == [FAILED, WARNING]
    assert "ENCRYPTION_KEYS_RETIRED" in report.findings[0].remedy
    assert purposes(engine) == []


def test_what_is_under_a_retired_key_is_a_warning(
    installation: CheckedInstallation, engine: Engine, clinic: Clinic
) -> None:
    old = secrets.token_bytes(32)
    with transaction(engine) as connection:
        put_credentials(connection, Vault(old), clinic, {"password": PASSWORD})
    rotated = replace(installation, open_vault=lambda: Vault(secrets.token_bytes(32), [old]))
    report = report_of(rotated, "keys")

    assert statuses(report) == [OK, OK, WARNING]
    assert "`pims credentials rotate`" in report.findings[-1].remedy


def test_a_damaged_row_fails(
    installation: CheckedInstallation, engine: Engine, stored: Clinic
) -> None:
    with transaction(engine) as connection:
        connection.execute(
            update(pims_credentials)
            .where(pims_credentials.c.clinic_id == stored.id)
            .values(encrypted_data=b"not an envelope")
        )
    report = report_of(installation, "keys")

    assert statuses(report) == [FAILED, OK]
    assert "1 of 1 login is damaged" in report.findings[0].text


def test_without_a_key_nothing_may_be_stored(
    installation: CheckedInstallation, engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    keyless = replace(installation, open_vault=None)
    before = report_of(keyless, "keys")
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {"password": PASSWORD})
    after = report_of(keyless, "keys")

    assert statuses(before) == [OK]
    assert statuses(after) == [FAILED, OK]
