"""Logged-in sessions, encrypted at rest, so that a warm sync needs no login.

Every decryption leaves a row in the access log. The provider adapters define
what a session holds.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.store.secrets.vault import KeyGone, Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_sessions

_TABLE = pims_sessions.name


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A decrypted session; ``data`` is secret and has no repr.

    Attributes:
        expires_at: Aware UTC; the latest time at which the vendor accepts it.
        created_at: Aware UTC; when it was stored. Distinguishes it from a newer session.
    """

    data: bytes = field(repr=False)
    expires_at: datetime
    created_at: datetime


def _of(clinic: Clinic) -> ColumnElement[bool]:
    return and_(
        pims_sessions.c.clinic_id == clinic.id,
        pims_sessions.c.provider_type == clinic.provider_type,
    )


def put_session(
    connection: Connection, vault: Vault, clinic: Clinic, data: bytes, expires_at: datetime
) -> datetime:
    """Store the clinic's session in place of any former one.

    ``data`` is opaque and encrypted before it is stored; ``expires_at`` (aware) is the
    latest time at which the vendor accepts it.

    Returns:
        ``created_at`` of the stored session.
    """
    envelope = vault.encrypt(
        data, table=_TABLE, clinic_id=clinic.id, provider_type=clinic.provider_type
    )
    values = {
        "encrypted_data": envelope.data,
        "key_id": envelope.key_id,
        "expires_at": expires_at,
        # now() is when the transaction began, perhaps before it got the row's lock.
        "created_at": func.clock_timestamp(),
        "last_used_at": None,
    }
    created_at: datetime = connection.execute(
        upsert(pims_sessions)
        .values(clinic_id=clinic.id, provider_type=clinic.provider_type, **values)
        .on_conflict_do_update(index_elements=["clinic_id", "provider_type"], set_=values)
        .returning(pims_sessions.c.created_at)
    ).scalar_one()
    return created_at


def read_session(
    connection: Connection, vault: Vault, clinic: Clinic, *, purpose: str, run_id: str | None
) -> StoredSession | None:
    """Decrypt the clinic's session, log that it was done, and note its use.

    Returns:
        None when there is none, or it has expired, or its key is gone; it is dropped
        then. Logging in again replaces it.

    Raises:
        Undecryptable: If the row was changed, or belongs to another clinic.
    """
    usable = pims_sessions.c.expires_at > func.clock_timestamp()
    row = connection.execute(
        select(pims_sessions, usable.label("usable")).where(_of(clinic))
    ).one_or_none()
    if row is None:
        return None
    try:
        data = row.usable and vault.decrypt(
            row.encrypted_data,
            table=_TABLE,
            clinic_id=clinic.id,
            provider_type=clinic.provider_type,
        )
    except KeyGone:
        data = None
    if not row.usable or data is None:
        drop_session(connection, clinic, created_at=row.created_at)
        return None
    _note_use(connection, clinic, purpose, run_id)
    return StoredSession(data=data, expires_at=row.expires_at, created_at=row.created_at)


def _note_use(connection: Connection, clinic: Clinic, purpose: str, run_id: str | None) -> None:
    connection.execute(
        update(pims_sessions).where(_of(clinic)).values(last_used_at=func.clock_timestamp())
    )
    connection.execute(
        insert(credential_access_log).values(
            clinic_id=clinic.id,
            provider_type=clinic.provider_type,
            purpose=purpose,
            run_id=run_id,
        )
    )


def drop_session(
    connection: Connection, clinic: Clinic, *, created_at: datetime | None = None
) -> None:
    """Delete the clinic's session, if there is one.

    With ``created_at``, only the session stored then: a newer one stays.
    """
    statement = delete(pims_sessions).where(_of(clinic))
    if created_at is not None:
        statement = statement.where(pims_sessions.c.created_at == created_at)
    connection.execute(statement)
