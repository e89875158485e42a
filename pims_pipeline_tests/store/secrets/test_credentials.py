"""Credentials and sessions: encrypted, bound to their clinic, every decryption logged."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, select, text, update

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.credentials import (
    NoCredentials,
    credential_status,
    mark_credentials,
    put_credentials,
    read_credentials,
)
from pims_pipeline.store.secrets.sessions import drop_session, put_session, read_session
from pims_pipeline.store.secrets.vault import KeyGone, Undecryptable, Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials, pims_sessions
from pims_pipeline.store.tables.all import metadata

FIELDS = {"company_id": "4711", "username": "ann", "password": "hunter2 ☂"}
SESSION = b"cookies=hunter2"


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=8)


def _accesses(connection: Connection) -> list[tuple[str, str, str | None]]:
    log = credential_access_log.c
    rows = connection.execute(
        select(log.provider_type, log.purpose, log.run_id).order_by(log.id)
    ).all()
    return [(row.provider_type, row.purpose, row.run_id) for row in rows]


@pytest.fixture
def oak(engine: Engine) -> Clinic:
    with transaction(engine) as connection:
        return add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )


def test_credentials_are_read_back_unverified_and_the_reading_is_logged(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
    with transaction(engine) as connection:
        stored = read_credentials(connection, vault, clinic, purpose="login", run_id="run-1")
    assert stored.fields == FIELDS
    assert stored.status == "unverified"
    with transaction(engine) as connection:
        assert _accesses(connection) == [("idexx_neo", "login", "run-1")]


def test_nothing_stored_or_printed_shows_a_secret(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
        put_session(connection, vault, clinic, SESSION, _later())
        credentials = read_credentials(connection, vault, clinic, purpose="login", run_id=None)
        session = read_session(connection, vault, clinic, purpose="sync", run_id=None)
        stored = [
            *connection.scalars(select(pims_credentials.c.encrypted_data)),
            *connection.scalars(select(pims_sessions.c.encrypted_data)),
        ]
    assert b"hunter2" not in b"".join(stored)
    assert "hunter2" not in repr(credentials) + repr(session)
    assert "ann" not in repr(credentials)


def test_missing_credentials_name_the_command_that_enters_them(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        with pytest.raises(NoCredentials, match="`pims credentials set maple-street`"):
            read_credentials(connection, vault, clinic, purpose="login", run_id=None)
        assert _accesses(connection) == []
        assert credential_status(connection, clinic) is None


def test_new_credentials_replace_the_old_ones_and_drop_their_session(
    engine: Engine, vault: Vault, clinic: Clinic, oak: Clinic
) -> None:
    with transaction(engine) as connection:
        for each in (clinic, oak):
            put_credentials(connection, vault, each, FIELDS)
            put_session(connection, vault, each, SESSION, _later())
        mark_credentials(connection, clinic, CredentialStatus.INVALID)
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, {**FIELDS, "password": "new"})
    with transaction(engine) as connection:
        stored = read_credentials(connection, vault, clinic, purpose="login", run_id=None)
        assert stored.fields["password"] == "new"
        assert stored.status == "unverified"
        assert connection.scalars(select(pims_sessions.c.clinic_id)).all() == [oak.id]


def test_a_mark_stays_with_the_clinic_it_was_given(
    engine: Engine, vault: Vault, clinic: Clinic, oak: Clinic
) -> None:
    with transaction(engine) as connection:
        for each in (clinic, oak):
            put_credentials(connection, vault, each, FIELDS)
        mark_credentials(connection, clinic, CredentialStatus.NEEDS_HUMAN)
    with transaction(engine) as connection:
        assert credential_status(connection, clinic) == "needs_human"
        assert credential_status(connection, oak) == "unverified"


def test_a_mark_meant_for_replaced_credentials_does_not_touch_the_new_ones(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
        tried = read_credentials(connection, vault, clinic, purpose="login", run_id=None)
        put_credentials(connection, vault, clinic, {**FIELDS, "password": "new"})
        mark_credentials(connection, clinic, CredentialStatus.INVALID, read_at=tried.updated_at)
        assert credential_status(connection, clinic) == "unverified"
        current = read_credentials(connection, vault, clinic, purpose="login", run_id=None)
        for status in (CredentialStatus.VALID, CredentialStatus.INVALID):
            mark_credentials(connection, clinic, status, read_at=current.updated_at)
            assert credential_status(connection, clinic) == status


@pytest.mark.parametrize("table", ["pims_credentials", "pims_sessions"])
def test_a_row_copied_from_another_clinic_does_not_decrypt(
    engine: Engine, vault: Vault, clinic: Clinic, oak: Clinic, table: str
) -> None:
    with transaction(engine) as connection:
        for each in (clinic, oak):
            put_credentials(connection, vault, each, FIELDS)
            put_session(connection, vault, each, SESSION, _later())
        connection.execute(
            text(
                f"UPDATE {table} AS ours SET encrypted_data = theirs.encrypted_data "  # noqa: S608 - a fixed name of a table
                f"FROM {table} AS theirs "
                "WHERE ours.clinic_id = :ours AND theirs.clinic_id = :theirs"
            ),
            {"ours": clinic.id, "theirs": oak.id},
        )
        read = read_credentials if table == "pims_credentials" else read_session
        with pytest.raises(Undecryptable, match="belongs to another row"):
            read(connection, vault, clinic, purpose="login", run_id=None)
        assert _accesses(connection) == []


@pytest.mark.parametrize("theirs", ["another table", "another provider"])
@pytest.mark.parametrize("table", ["pims_credentials", "pims_sessions"])
def test_an_envelope_of_another_table_or_provider_does_not_decrypt(
    engine: Engine, vault: Vault, clinic: Clinic, table: str, theirs: str
) -> None:
    other = "pims_sessions" if table == "pims_credentials" else "pims_credentials"
    envelope = vault.encrypt(
        b'{"password": "hunter2"}',
        table=other if theirs == "another table" else table,
        clinic_id=clinic.id,
        provider_type="other" if theirs == "another provider" else clinic.provider_type,
    )
    read = read_credentials if table == "pims_credentials" else read_session
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
        put_session(connection, vault, clinic, SESSION, _later())
        connection.execute(update(metadata.tables[table]).values(encrypted_data=envelope.data))
        with pytest.raises(Undecryptable, match="belongs to another row") as caught:
            read(connection, vault, clinic, purpose="login", run_id=None)
        assert "hunter2" not in repr(caught.value)
        assert _accesses(connection) == []


def test_a_login_of_which_any_byte_was_changed_is_neither_used_nor_logged_as_read(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
        envelope = connection.scalars(select(pims_credentials.c.encrypted_data)).one()
        for position, byte in enumerate(envelope):
            forged = envelope[:position] + bytes([byte ^ 0x80]) + envelope[position + 1 :]
            connection.execute(update(pims_credentials).values(encrypted_data=forged))
            with pytest.raises(Undecryptable) as caught:
                read_credentials(connection, vault, clinic, purpose="login", run_id=None)
            assert "hunter2" not in repr(caught.value)
        assert _accesses(connection) == []


def test_credentials_whose_key_is_gone_raise_that(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        put_credentials(connection, vault, clinic, FIELDS)
        with pytest.raises(KeyGone):
            read_credentials(connection, Vault(bytes(32)), clinic, purpose="login", run_id=None)


def test_a_session_is_read_back_logged_and_noted_as_used(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    expires_at = _later()
    with transaction(engine) as connection:
        created_at = put_session(connection, vault, clinic, SESSION, expires_at)
    with transaction(engine) as connection:
        stored = read_session(connection, vault, clinic, purpose="sync", run_id="run-1")
        used_at = connection.scalar(select(pims_sessions.c.last_used_at))
        assert _accesses(connection) == [("idexx_neo", "sync", "run-1")]
    assert stored is not None
    assert (stored.data, stored.expires_at, stored.created_at) == (SESSION, expires_at, created_at)
    assert used_at is not None
    assert used_at > created_at


def test_a_newer_session_differs_from_an_older_one_and_outlives_its_drop(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        older = put_session(connection, vault, clinic, b"older", _later())
        newer = put_session(connection, vault, clinic, b"newer", _later())
        drop_session(connection, clinic, created_at=older)
        stored = read_session(connection, vault, clinic, purpose="sync", run_id=None)
    assert older < newer
    assert stored is not None
    assert stored.data == b"newer"


@pytest.mark.parametrize("why", ["expired", "key gone"])
def test_a_session_of_no_more_use_is_dropped_without_an_access(
    engine: Engine, vault: Vault, clinic: Clinic, why: str
) -> None:
    expires_at = _later() if why == "key gone" else datetime.now(UTC) - timedelta(seconds=1)
    reader = Vault(bytes(32)) if why == "key gone" else vault
    with transaction(engine) as connection:
        put_session(connection, vault, clinic, SESSION, expires_at)
        assert read_session(connection, reader, clinic, purpose="sync", run_id=None) is None
        assert connection.scalars(select(pims_sessions.c.clinic_id)).all() == []
        assert _accesses(connection) == []


def test_a_clinic_without_a_session_has_none_and_dropping_it_does_nothing(
    engine: Engine, vault: Vault, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        drop_session(connection, clinic)
        assert read_session(connection, vault, clinic, purpose="sync", run_id=None) is None
