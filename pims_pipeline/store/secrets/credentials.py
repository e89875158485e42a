"""Login credentials, encrypted at rest; every decryption leaves a row in the access log.

The provider adapters define the fields; the sync acts on the statuses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.elements import ColumnElement

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.store.secrets.sessions import drop_session
from pims_pipeline.store.secrets.vault import Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials

_TABLE = pims_credentials.name


class NoCredentials(UserFacingError):
    """No credentials are stored for the clinic's provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredentials:
    """Decrypted credentials. Never printed: the fields have no repr.

    Attributes:
        fields: As they were given to ``put_credentials``.
        updated_at: Aware UTC; when they were stored. Distinguishes them from later ones.
    """

    fields: Mapping[str, str | None] = field(repr=False)
    status: CredentialStatus
    updated_at: datetime


def _of(clinic: Clinic) -> ColumnElement[bool]:
    return and_(
        pims_credentials.c.clinic_id == clinic.id,
        pims_credentials.c.provider_type == clinic.provider_type,
    )


def put_credentials(
    connection: Connection, vault: Vault, clinic: Clinic, fields: Mapping[str, str | None]
) -> None:
    """Store or replace the clinic's credentials, not verified yet.

    The stored session goes: it was opened with the former ones.
    """
    envelope = vault.encrypt(
        json.dumps(dict(fields)).encode(),
        table=_TABLE,
        clinic_id=clinic.id,
        provider_type=clinic.provider_type,
    )
    values = {
        "encrypted_data": envelope.data,
        "key_id": envelope.key_id,
        "status": CredentialStatus.UNVERIFIED,
        # now() is when the transaction began; two of them could share it.
        "updated_at": func.clock_timestamp(),
    }
    connection.execute(
        upsert(pims_credentials)
        .values(clinic_id=clinic.id, provider_type=clinic.provider_type, **values)
        .on_conflict_do_update(index_elements=["clinic_id", "provider_type"], set_=values)
    )
    drop_session(connection, clinic)


def read_credentials(
    connection: Connection, vault: Vault, clinic: Clinic, *, purpose: str, run_id: str | None
) -> StoredCredentials:
    """Decrypt the clinic's credentials, and log that it was done.

    The log gets ``purpose``, a word or two such as ``login``, and the run, if there is one.

    Raises:
        NoCredentials: If there are none.
        Undecryptable: If the row was changed, or its key is gone.
    """
    row = connection.execute(select(pims_credentials).where(_of(clinic))).one_or_none()
    if row is None:
        raise NoCredentials(
            f"no credentials are stored for clinic {clinic.slug!r}; enter them with "
            f"`pims credentials set {clinic.slug}`"
        )
    plaintext = vault.decrypt(
        row.encrypted_data,
        table=_TABLE,
        clinic_id=clinic.id,
        provider_type=clinic.provider_type,
    )
    connection.execute(
        insert(credential_access_log).values(
            clinic_id=clinic.id,
            provider_type=clinic.provider_type,
            purpose=purpose,
            run_id=run_id,
        )
    )
    return StoredCredentials(
        fields=json.loads(plaintext), status=CredentialStatus(row.status), updated_at=row.updated_at
    )


def mark_credentials(
    connection: Connection,
    clinic: Clinic,
    status: CredentialStatus,
    *,
    read_at: datetime | None = None,
) -> None:
    """Record whether the vendor accepts the clinic's credentials.

    ``read_at`` is the ``updated_at`` of the credentials that were tried. When others have
    been stored since, those do not change: they were not tried. ``updated_at`` stays.
    """
    statement = update(pims_credentials).where(_of(clinic))
    if read_at is not None:
        statement = statement.where(pims_credentials.c.updated_at == read_at)
    connection.execute(statement.values(status=status))


def credential_status(connection: Connection, clinic: Clinic) -> CredentialStatus | None:
    """The status of the clinic's credentials; None when there are none."""
    status = connection.scalar(select(pims_credentials.c.status).where(_of(clinic)))
    return None if status is None else CredentialStatus(status)
