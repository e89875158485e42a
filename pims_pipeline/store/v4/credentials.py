"""Their credentials, encrypted as they are. Decrypting is ``store/secrets/v4_credentials.py``'s."""

from uuid import UUID

from sqlalchemy import Connection, text

from pims_pipeline.domain.adoption.v4 import Layout, V4Credentials
from pims_pipeline.store.v4.installation import Installation

CREDENTIALS_TABLE = {
    Layout.DEPLOYED: "idexx_credentials",
    Layout.DOCUMENTED: "pims_credentials",
}
_DEFAULT_KEY_ID = "default"


def newest_credentials_of(
    connection: Connection, installation: Installation, clinic_id: UUID
) -> V4Credentials | None:
    """The clinic's newest active credentials; None if there are none."""
    table = CREDENTIALS_TABLE[installation.layout]
    if not installation.has(table):
        return None
    is_active = installation.column(table, "k", "is_active", "boolean")
    columns = {
        "provider_type": "text",
        "username_encrypted": "bytea",
        "password_encrypted": "bytea",
        "company_id_encrypted": "bytea",
        "encrypted_data": "bytea",
        "encryption_key_id": "text",
    }
    read = ", ".join(
        f"CAST({installation.column(table, 'k', name, kind)} AS {kind}) AS {name}"
        for name, kind in columns.items()
    )
    newest = ", ".join(
        f"{installation.column(table, 'k', name, 'timestamptz')} DESC NULLS LAST"
        for name in ("updated_at", "created_at")
    )
    row = connection.execute(
        text(
            f"SELECT k.id, {read} FROM {installation.table(table)} AS k "  # noqa: S608 - quoted
            f"WHERE k.clinic_id = :clinic_id AND coalesce({is_active}, true) "
            f"ORDER BY {newest}, k.id LIMIT 1"
        ),
        {"clinic_id": clinic_id},
    ).one_or_none()
    if row is None:
        return None
    return V4Credentials(
        id=row.id,
        clinic_id=clinic_id,
        key_id=row.encryption_key_id or _DEFAULT_KEY_ID,
        provider_type=row.provider_type,
        username=row.username_encrypted,
        password=row.password_encrypted,
        company_id=row.company_id_encrypted,
        document=row.encrypted_data,
    )
