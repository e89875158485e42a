"""Decrypting everything that is stored, to count what can be decrypted; plaintexts are dropped.

``vault`` defines envelopes. Each decryption leaves a row in the access log, with the purpose
``doctor``.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table, func, insert, select

from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.secrets.vault import KeyGone, Undecryptable, Vault
from pims_pipeline.store.tables.access import credential_access_log, pims_credentials, pims_sessions

_PURPOSE = "doctor"


@dataclass(slots=True)
class SecretCounts:
    """How many rows of a table can be decrypted.

    Attributes:
        stored: All of them; of sessions, those that have not expired.
        retired: Decrypted, with a key that is retired.
        key_gone: Encrypted with a key that is not among ours.
        damaged: Changed, or another row's.
    """

    stored: int = 0
    retired: int = 0
    key_gone: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class InspectedSecrets:
    """The counts of logins and of sessions."""

    credentials: SecretCounts
    sessions: SecretCounts


def inspect_secrets(engine: Engine, vault: Vault | None) -> InspectedSecrets:
    """Decrypt every stored login and session; without a vault, each counts as ``key_gone``.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    with transaction(engine) as connection:
        return InspectedSecrets(
            _inspected(connection, vault, pims_credentials),
            _inspected(connection, vault, pims_sessions),
        )


def _inspected(connection: Connection, vault: Vault | None, table: Table) -> SecretCounts:
    statement = select(table.c.clinic_id, table.c.provider_type, table.c.encrypted_data)
    if table is pims_sessions:
        statement = statement.where(table.c.expires_at > func.clock_timestamp())
    counts, accesses = SecretCounts(), []
    for row in connection.execute(statement.order_by(table.c.clinic_id)):
        counts.stored += 1
        if vault is None:
            counts.key_gone += 1
            continue
        bound_to = {"clinic_id": row.clinic_id, "provider_type": row.provider_type}
        try:
            vault.decrypt(row.encrypted_data, table=table.name, **bound_to)
        except KeyGone:
            counts.key_gone += 1
        except Undecryptable:
            counts.damaged += 1
        else:
            counts.retired += not row.encrypted_data.startswith(vault.header)
            accesses.append({**bound_to, "purpose": _PURPOSE, "run_id": None})
    if accesses:
        connection.execute(insert(credential_access_log).values(accesses))
    return counts
