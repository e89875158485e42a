"""Secrets of three clinics, and their rotation from an old key to a new one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import (
    mark_credentials,
    put_credentials,
    read_credentials,
)
from pims_pipeline.store.secrets.rotation import Rotation, rotate
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials, pims_sessions
from pims_pipeline.store.tables.clinics import clinics

OLD_KEY = bytes([1] * 32)
NEW_KEY = bytes([2] * 32)
LOST_KEY = bytes([3] * 32)
OLD = Vault(OLD_KEY)
NEW = Vault(NEW_KEY)
ROTATING = Vault(NEW_KEY, [OLD_KEY])
SLUGS = ("ash", "birch", "cedar")
TABLES = (pims_credentials, pims_sessions)


def in_eight_hours() -> datetime:
    return datetime.now(UTC) + timedelta(hours=8)


def login_of(clinic: Clinic) -> dict[str, str | None]:
    return {"username": clinic.slug, "password": f"hunter2 of {clinic.slug}"}


def cookies_of(clinic: Clinic) -> bytes:
    return f"cookies=hunter2 of {clinic.slug}".encode()


def store_secrets(engine: Engine, vault: Vault, clinic: Clinic) -> None:
    """The clinic's login and session, under the vault's current key."""
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, login_of(clinic))
        mark_credentials(connection, clinic, CredentialStatus.VALID)
        put_session(connection, vault, clinic, cookies_of(clinic), in_eight_hours())


def rotate_secrets(engine: Engine, vault: Vault = ROTATING, **options: Any) -> Rotation:
    return rotate(engine, vault, run_id="pims credentials rotate", **options)


def assert_readable(engine: Engine, vault: Vault, old_key_clinics: list[Clinic]) -> None:
    """Every secret is there, as it was stored."""
    with transaction(engine) as connection:
        for clinic in old_key_clinics:
            login = read_credentials(connection, vault, clinic, purpose="test", run_id=None)
            session = read_session(connection, vault, clinic, purpose="test", run_id=None)
            assert login.fields == login_of(clinic)
            assert session is not None
            assert session.data == cookies_of(clinic)


def rows_under(engine: Engine, vault: Vault) -> set[tuple[str, str]]:
    """Table and clinic of every row under the vault's current key, by envelope and column."""
    with transaction(engine) as connection:
        return {
            (table.name, row.slug)
            for table in TABLES
            for row in connection.execute(
                select(clinics.c.slug, table.c.encrypted_data, table.c.key_id).join(
                    clinics, clinics.c.id == table.c.clinic_id
                )
            )
            if row.encrypted_data.startswith(vault.header) and row.key_id == vault.key_id
        }


ALL = {(table.name, slug) for table in TABLES for slug in SLUGS}


def rotations_logged(engine: Engine) -> list[tuple[str, str, str, str | None]]:
    log = credential_access_log.c
    with transaction(engine) as connection:
        rows = connection.execute(
            select(clinics.c.slug, log.provider_type, log.purpose, log.run_id)
            .join(clinics, clinics.c.id == log.clinic_id)
            .where(log.purpose == "rotation")
        )
        return sorted((row.slug, row.provider_type, row.purpose, row.run_id) for row in rows)
