"""Stored logins and sessions of clinics, written and read in tests."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.clinics import clinic_by_slug
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import read_credentials
from pims_pipeline.store.secrets.sessions import put_session, read_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline_tests.cli.invocation import KEY

OLD = Vault.from_base64(KEY)
"""The vault of the fixture ``pims``."""


def stored_fields(engine: Engine, slug: str, vault: Vault = OLD) -> dict[str, str | None]:
    """The stored fields of a clinic's login, decrypted."""
    with transaction(engine) as connection:
        clinic: Clinic = clinic_by_slug(connection, slug)
        stored = read_credentials(connection, vault, clinic, purpose="test", run_id=None)
    return dict(stored.fields)


def store_session(engine: Engine, slug: str, vault: Vault = OLD) -> None:
    """Store a session that has not expired."""
    expires_at = datetime.now(UTC) + timedelta(hours=8)
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        put_session(connection, vault, clinic, b"cookies=hunter2", expires_at)


def stored_session(engine: Engine, slug: str, vault: Vault) -> bytes | None:
    """The stored session of a clinic, decrypted."""
    with transaction(engine) as connection:
        clinic = clinic_by_slug(connection, slug)
        stored = read_session(connection, vault, clinic, purpose="test", run_id=None)
    return stored.data if stored else None
